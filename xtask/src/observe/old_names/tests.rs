use super::*;

fn names(folder: &Path, own: &str) -> OldNames {
    OldNames {
        places: vec![OldPlace {
            database: "labeler".to_owned(),
            hosts: vec!["localhost".to_owned(), "127.0.0.1".to_owned()],
            port: "5435".to_owned(),
            port_tells: true,
            names: vec!["postgres-labeler".to_owned()],
        }],
        keys: ["LABELER_DB_PORT".to_owned()].into(),
        own: vec![folder.join(own)],
        others: env_files_in(folder)
            .filter(|file| *file != folder.join(own))
            .chain([folder.join("docker-compose.yml")])
            .collect(),
    }
}

/// What is found in a folder with these files, as `FILE:LINE KEY`.
fn found(files: &[(&str, &str)]) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        infra::files::write_shared(&folder.path().join(name), text.as_bytes()).unwrap();
    }
    let findings = names(folder.path(), ".env").still_there();
    let mut found: Vec<String> = findings
        .iter()
        .filter_map(|finding| {
            let place = finding.place.as_ref()?;
            let file = Path::new(&place.file).file_name()?.to_string_lossy();
            let key = finding.found.split(' ').next()?;
            assert!(!finding.found.contains("s3cret"), "{}", finding.found);
            Some(format!("{file}:{} {key}", place.line))
        })
        .collect();
    found.sort();
    found
}

#[test]
fn c1_another_key_that_names_the_old_place_is_found_and_what_the_cutover_sets_is_not() {
    let env = "LABELER_DB_PORT=5435\nLABELER_DATABASE_URL=postgresql://u:s3cret@localhost:5435/labeler\n\
               OTHER_PORT=5435\nREDIS_PORT=6379\nOTHER_URL=http://localhost:54351/\n# X=localhost:5435\n";
    assert_eq!(
        found(&[(".env", env)]),
        [".env:2 LABELER_DATABASE_URL", ".env:3 OTHER_PORT"]
    );
}

#[test]
fn c1_another_env_file_is_searched_with_all_its_keys_and_templates_and_copies_are_not() {
    let text = "LABELER_DB_PORT=5435\n";
    let files = [
        (".env", ""),
        (".env.local", text),
        (".env.example", text),
        (".env.bak", text),
    ];
    assert_eq!(found(&files), [".env.local:1 LABELER_DB_PORT"]);
}

#[test]
fn c1_the_environment_of_a_compose_service_is_searched_and_published_ports_are_not() {
    let compose = "services:\n  app:\n    environment:\n      LABELER_DB_HOST: postgres-labeler\n      \
                   DATABASE_URL: \"postgresql://u:s3cret@postgres-labeler:5432/labeler\"\n      \
                   - OTHER_URL=postgresql://u@host:5435/x\n  postgres-labeler:\n    ports:\n      - \"127.0.0.1:5435:5432\"\n";
    assert_eq!(
        found(&[("docker-compose.yml", compose)]),
        [
            "docker-compose.yml:4 LABELER_DB_HOST",
            "docker-compose.yml:5 DATABASE_URL"
        ]
    );
}

#[test]
fn nothing_is_looked_for_where_every_old_place_is_the_targets() {
    let mut names = names(Path::new("."), ".env");
    names.places.clear();
    assert!(names.still_there().is_empty());
}
