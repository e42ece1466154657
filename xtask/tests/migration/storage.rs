//! Backups in object storage: the real `aws` client and a real S3 server on loopback.

mod damage;
mod faults;
pub mod proxy;
mod refusals;
mod rights;
mod round;
pub mod stage;
