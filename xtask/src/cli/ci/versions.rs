//! The PostgreSQL versions that the tests ran on.

use infra::postgres::{Clients, programs, version_text};

use super::{Ci, Prepared, TEST_POSTGRES};
use crate::cli::rehearse;

impl Ci<'_> {
    /// One line: every installation that the tests used, by version.
    pub(super) fn postgres_versions(&self, prepared: &Prepared) -> String {
        let named = std::env::var_os(TEST_POSTGRES).unwrap_or_default();
        let folders = rehearse::postgres_of_machine()
            .into_iter()
            .chain(std::env::split_paths(&named).filter(|folder| !folder.as_os_str().is_empty()))
            .chain(prepared.postgres.iter().cloned());
        let mut places: Vec<Clients> = folders.map(|bin| Clients::Machine { bin: Some(bin) }).collect();
        if prepared.docker {
            let image = |image: &str| Clients::Image {
                image: image.to_owned(),
                run: String::new(),
            };
            let built = rehearse::postgres_image(self.runner);
            places.extend(built.as_deref().map(image));
        }
        let one = |place: &Clients| match programs::version(self.runner, place, "pg_dump") {
            Ok(version) => format!("{} ({place})", version_text(version)),
            Err(_) => format!("a version that cannot be told ({place})"),
        };
        let mut lines: Vec<String> = places.iter().map(one).collect();
        lines.sort();
        lines.dedup();
        format!("tested on PostgreSQL {}", lines.join(", "))
    }
}
