//! Where we are: the workspace folder and the private folder inside it.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

use crate::model::run_dir;

/// The folder that holds `infra/migration.toml`, and `.xtask` beside it.
#[derive(Clone, Debug)]
pub struct Workspace {
    root: PathBuf,
}

impl Workspace {
    /// Uses this folder. Kept absolute: containers and servers do not share our current folder.
    pub fn at(root: impl Into<PathBuf>) -> Self {
        let root = root.into();
        Self {
            root: std::path::absolute(&root).unwrap_or(root),
        }
    }

    /// Finds the workspace: cargo says where it is; run by hand, the nearest folder above that holds the settings.
    ///
    /// # Errors
    /// When there is none.
    pub fn find() -> anyhow::Result<Self> {
        if let Some(root) = std::env::var_os("CARGO_MANIFEST_DIR")
            .and_then(|dir| Some(PathBuf::from(dir).parent()?.to_owned()))
        {
            return Ok(Self { root });
        }
        let here = std::env::current_dir().context("failed to read the current folder")?;
        match here
            .ancestors()
            .find(|dir| dir.join("infra/migration.toml").is_file())
        {
            Some(root) => Ok(Self {
                root: root.to_owned(),
            }),
            None => bail!(
                "no workspace here: no folder above {} holds infra/migration.toml",
                here.display()
            ),
        }
    }

    /// The folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The team's settings file.
    pub fn settings_file(&self) -> PathBuf {
        self.root.join("infra").join("migration.toml")
    }

    /// Our own Compose file of the new instance, for machines without a platform checkout.
    pub fn unified_compose(&self) -> PathBuf {
        self.root.join("infra").join("compose").join("unified.yaml")
    }

    /// This machine's private folder.
    pub fn private(&self) -> PathBuf {
        self.root.join(".xtask")
    }

    /// Where runs lie. Never under `target/`: `cargo clean` must not delete a backup.
    pub fn runs(&self) -> PathBuf {
        self.private().join(run_dir::RUNS)
    }

    /// Where restores of single databases keep their journals and logs.
    pub fn restores(&self) -> PathBuf {
        self.private().join(run_dir::RESTORES)
    }

    /// Where what `doctor` repaired keeps its journals and the way back.
    pub fn repairs(&self) -> PathBuf {
        self.private().join(run_dir::REPAIRS)
    }

    /// This machine's own settings.
    pub fn local_settings(&self) -> PathBuf {
        self.private().join("local.toml")
    }

    /// Where `onboard` keeps its plans, journals and logs.
    pub fn onboardings(&self) -> PathBuf {
        self.private().join(run_dir::ONBOARDINGS)
    }

    /// Where backups lie that no migration took.
    pub fn backups(&self) -> PathBuf {
        self.private().join(run_dir::BACKUPS)
    }

    /// A path of the settings: relative ones start at the workspace; `..` is folded away so that messages read well.
    pub fn resolve(&self, path: &Path) -> PathBuf {
        let joined = self.root.join(path);
        let mut out = PathBuf::new();
        for part in joined.components() {
            match part {
                std::path::Component::ParentDir => {
                    out.pop();
                }
                std::path::Component::CurDir => {}
                other => out.push(other),
            }
        }
        out
    }
}
