//! Settings: the guide's defaults < `infra/migration.toml` < `.xtask/local.toml` < profile < `XTASK_*` < flags.

mod address;
mod application;
mod broken;
mod connection;
mod known;
mod layers;
mod local;
mod maintenance;
mod own_secrets;
mod settings;
mod standard;
mod storage;
mod unread;
mod vault;
mod workspace;

pub use connection::{Connection, SslMode};
pub use layers::{ConfigError, Loaded, Origin, load};
pub use local::edit as edit_local;
pub use settings::*;
pub use vault::{SecretName, Vault, Withheld};
pub use workspace::Workspace;
