//! What is known of an old container: what a person set wins over what its container says, and that over what this program
//! brings.

use infra::docker::Container;
use infra::postgres::container;

use super::Settings;

impl Settings {
    /// The bootstrap superuser of the old instance of a database.
    pub fn source_user(&self, database: &str, container: Option<&Container>) -> String {
        let source = &self.databases[database].source;
        let said = container.and_then(|container| container.variables.get("POSTGRES_USER"));
        match said {
            Some(said) if !self.is_chosen(database, "user") => said.clone(),
            _ => source.user.clone(),
        }
    }

    /// The port of the old instance inside its container.
    pub fn source_port(&self, database: &str, container: &Container) -> u16 {
        match self.databases[database].source.port {
            0 => container::port(container),
            port => port,
        }
    }

    /// The data folder of the old instance inside its container.
    pub fn source_folder(&self, database: &str, container: &Container) -> String {
        let own = &self.databases[database].source.data;
        match own.as_os_str().is_empty() {
            true => container::data_folder(container),
            false => own.display().to_string(),
        }
    }

    /// Whether a person wrote this setting of an old instance.
    fn is_chosen(&self, database: &str, setting: &str) -> bool {
        self.chosen
            .contains(&format!("databases.{database}.source.{setting}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Workspace, load};

    #[test]
    fn what_a_person_sets_wins_over_what_a_container_says() {
        let container: Container = serde_json::from_value(serde_json::json!({
            "id": "a", "name": "old", "image": "postgres:16", "status": "running", "health": null, "restart": "no", "mounts": [],
            "ports": {}, "address": null, "labels": {}, "command": ["postgres", "-p", "5440"],
            "variables": { "POSTGRES_USER": "said", "PGDATA": "/said" },
        }))
        .unwrap();
        let folder = tempfile::tempdir().unwrap();
        let known = |sets: &[&str]| {
            let sets: Vec<String> = sets
                .iter()
                .map(|set| format!("databases.labeler.source.{set}"))
                .collect();
            let settings = load(&Workspace::at(folder.path()), crate::DEFAULT_PROFILE, &[], &sets)
                .unwrap()
                .settings;
            let found = Some(&container);
            (
                settings.source_user("labeler", found),
                settings.source_port("labeler", &container),
                settings.source_folder("labeler", &container),
            )
        };
        let said = ("said".to_owned(), 5440, "/said".to_owned());
        assert_eq!(known(&[]), said);
        let set = ("root".to_owned(), 5450, "/set".to_owned());
        assert_eq!(known(&["user=root", "port=5450", "data=/set"]), set);
        // The value that this program brings counts as well once somebody writes it.
        assert_eq!(known(&["user=labeler_user"]).0, "labeler_user");
    }
}
