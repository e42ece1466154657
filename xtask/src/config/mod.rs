//! Settings: the guide's defaults < `infra/migration.toml` < `.xtask/local.toml` < `XTASK_*` < flags.

mod layers;
mod settings;
mod vault;
mod workspace;

pub use layers::{ConfigError, Loaded, Origin, load};
pub use settings::*;
pub use vault::{SecretName, Vault};
pub use workspace::Workspace;
