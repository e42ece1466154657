//! The problems, one file for each or for those that share a cause.

pub(super) mod alembic;
pub(super) mod collation;
pub(super) mod compose;
pub(super) mod connections;
pub(super) mod databases;
pub(super) mod disk;
pub(super) mod env;
pub(super) mod env_file;
pub(super) mod instance;
pub(super) mod logins;
pub(super) mod ports;
pub(super) mod privileges;
pub(super) mod redis;
pub(super) mod run;
pub(super) mod versions;
