//! Layers: who wins, what is remembered, what is refused.

use super::*;

fn load_with(local: &str, environment: &[(&str, &str)], sets: &[&str]) -> Result<Loaded, ConfigError> {
    load_profile(crate::DEFAULT_PROFILE, local, environment, sets)
}

fn load_profile(
    profile: &str,
    local: &str,
    environment: &[(&str, &str)],
    sets: &[&str],
) -> Result<Loaded, ConfigError> {
    let dir = tempfile::tempdir().unwrap();
    infra::files::private_dir(&dir.path().join(".xtask")).unwrap();
    infra::files::write_private(&dir.path().join(".xtask/local.toml"), local.as_bytes()).unwrap();
    let environment: Vec<_> = environment
        .iter()
        .map(|(k, v)| (k.to_string(), v.to_string()))
        .collect();
    let sets: Vec<_> = sets.iter().map(ToString::to_string).collect();
    load(&Workspace::at(dir.path()), profile, &environment, &sets)
}

#[test]
fn layers_win_in_order_and_remember_where_they_came_from() {
    let loaded = load_with(
        "[target]\nport = 6000\nhost = \"db\"\n",
        &[("XTASK_TARGET__PORT", "6001"), ("XTASK_UNRELATED", "x")],
        &["redis.port=7000"],
    )
    .unwrap();
    assert_eq!(loaded.settings.target.port, 6001);
    assert_eq!(loaded.settings.target.host, "db");
    assert_eq!(loaded.settings.redis.port, 7000);
    assert_eq!(
        loaded.origins["target.port"].1,
        Origin::Environment("XTASK_TARGET__PORT".to_owned())
    );
    assert_eq!(
        loaded.origins["target.host"].1,
        Origin::File(".xtask/local.toml".to_owned(), 3)
    );
    assert_eq!(loaded.origins["redis.port"].1, Origin::Flag);
    assert_eq!(loaded.origins["target.user"].1, Origin::Guide);
}

#[test]
fn a_password_is_never_in_the_list_of_settings() {
    let loaded = load_with("[target]\npassword = \"s3cr3t\"\n", &[], &[]).unwrap();
    assert!(!format!("{:?} {:?}", loaded.origins, loaded.settings).contains("s3cr3t"));
}

#[test]
fn an_unknown_key_is_an_error_with_line_and_caret() {
    let error = load_with("[target]\nprot = 1\n", &[], &[])
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("line 2, column 1") && error.contains('^') && error.contains("prot"),
        "{error}"
    );
}

#[test]
fn a_wrong_type_is_an_error_with_line_and_caret() {
    let error = load_with("[target]\nport = \"many\"\n", &[], &[])
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("line 2, column 8") && error.contains('^'),
        "{error}"
    );
}

#[test]
fn a_wrong_variable_or_flag_is_named() {
    let error = load_with("", &[("XTASK_TARGET__PORT", "many")], &[])
        .unwrap_err()
        .to_string();
    assert!(error.starts_with("XTASK_TARGET__PORT"), "{error}");
    let error = load_with("", &[], &["target.prot=1"]).unwrap_err().to_string();
    assert!(error.contains("prot"), "{error}");
    // It would come too late to count.
    let error = load_with("", &[], &["profiles.production.target.port=1"])
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("target.port, beside --profile production"),
        "{error}"
    );
}

#[test]
fn a_number_that_looks_like_a_string_is_taken_as_the_type_that_fits() {
    let loaded = load_with("", &[("XTASK_TARGET__USER", "12345")], &[]).unwrap();
    assert_eq!(loaded.settings.target.user, "12345");
}

fn production(local: &str, environment: &[(&str, &str)], sets: &[&str]) -> Result<Loaded, ConfigError> {
    load_profile("production", local, environment, sets)
}

#[test]
fn the_variables_of_postgresql_fill_what_an_external_target_leaves_empty() {
    let environment = [
        ("PGHOST", "db.example"),
        ("PGPORT", "6432"),
        ("PGUSER", "somebody"),
    ];
    let loaded = production("", &environment, &[]).unwrap();
    let target = &loaded.settings.target;
    assert_eq!((target.host.as_str(), target.port), ("db.example", 6432));
    // The role that this program brings is a default.
    assert_eq!(target.user, "somebody");
    for (key, variable) in [("target.host", "PGHOST"), ("target.user", "PGUSER")] {
        assert_eq!(
            loaded.origins[key].1,
            Origin::Environment(variable.to_owned()),
            "{key}"
        );
    }
    // What the team or a person wrote is none, whoever comes.
    let said = "[profiles.production.target]\nuser = \"labeler_user\"\nhost = \"said\"\n";
    let loaded = production(said, &environment, &["target.port=1"]).unwrap();
    let target = &loaded.settings.target;
    assert_eq!(
        (target.host.as_str(), target.port, target.user.as_str()),
        ("said", 1, "labeler_user")
    );
    // A local target is not theirs to say.
    let local = load_with("", &environment, &[]).unwrap();
    assert_eq!(local.settings.target.host, "localhost");
}

#[test]
fn what_the_teams_file_changed_is_theirs_and_what_it_kept_is_a_default() {
    let folder = tempfile::tempdir().unwrap();
    let workspace = Workspace::at(folder.path());
    let heading = "[profiles.production.target.connection]\n";
    let changed = infra::MIGRATION_TOML.replace(heading, &format!("{heading}application-name = \"ours\"\n"));
    std::fs::create_dir_all(workspace.settings_file().parent().unwrap()).unwrap();
    infra::files::write_private(&workspace.settings_file(), changed.as_bytes()).unwrap();
    let environment = [("PGUSER", "somebody"), ("PGAPPNAME", "theirs")];
    let environment = environment.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let loaded = load(&workspace, "production", &environment, &[]);
    let target = loaded.unwrap().settings.target;
    assert_eq!(target.user, "somebody");
    assert_eq!(target.connection.application_name, "ours");
}

#[test]
fn no_variable_and_no_service_asks_for_less_than_the_servers_name_proven() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("services");
    infra::files::write_private(&file, b"[weak]\nsslmode=require\n").unwrap();
    let file = file.display().to_string();
    let weak = [("PGSERVICEFILE", file.as_str())];
    for (environment, sets, place) in [
        (&[("PGSSLMODE", "disable")][..], &[][..], "PGSSLMODE"),
        (&weak, &["target.connection.service=weak"], "services:2"),
        (
            &weak,
            &["databases.labeler.source.connection.service=weak"],
            "services:2",
        ),
    ] {
        let error = production("", environment, sets).unwrap_err().to_string();
        assert!(
            error.contains(place) && error.contains("connection.sslmode=verify-full"),
            "{error}"
        );
    }
    // A setting may, and is judged by the preflight.
    let sets = ["target.connection.sslmode=require"];
    let loaded = production("", &[("PGSSLMODE", "disable")], &sets).unwrap();
    assert_eq!(
        loaded.settings.target.connection.sslmode(),
        crate::config::SslMode::Require
    );
    let loaded = production("", &[("PGSSLMODE", "verify-full")], &[]).unwrap();
    let origin = &loaded.origins["target.connection.sslmode"].1;
    assert_eq!(*origin, Origin::Environment("PGSSLMODE".to_owned()));
}

#[test]
fn a_service_comes_before_the_variables_and_shows_its_line() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("services");
    let text = "[new]\nhost=new.example\nhostaddr=192.0.2.7\nsslmode=verify-full\n\n[old]\nhost=old.example\nport=5439\nuser=u\n";
    infra::files::write_private(&file, text.as_bytes()).unwrap();
    let file = file.display().to_string();
    let environment = [
        ("PGSERVICEFILE", file.as_str()),
        ("PGHOST", "no.example"),
        ("PGSERVICE", "new"),
    ];
    let sets = ["databases.labeler.source.connection.service=old"];
    let loaded = production("", &environment, &sets).unwrap();
    let source = &loaded.settings.databases["labeler"].source;
    assert_eq!(loaded.settings.target.host, "new.example");
    assert_eq!(
        (source.host.as_str(), source.port, source.user.as_str()),
        ("old.example", 5439, "u")
    );
    assert_eq!(loaded.origins["target.host"].1, Origin::File(file.clone(), 2));
    assert_eq!(
        loaded.origins["target.connection.hostaddr"],
        ("\"192.0.2.7\"".to_owned(), Origin::File(file.clone(), 3))
    );
    let options = loaded.settings.target.connection.options();
    assert!(options.contains(&("PGHOSTADDR".to_owned(), "192.0.2.7".to_owned())));
    assert_eq!(
        loaded.settings.target.connection.sslmode(),
        crate::config::SslMode::VerifyFull
    );
    assert_eq!(loaded.settings.target.port, 5432);
    let error = production("", &environment, &["target.connection.service=none"]).unwrap_err();
    assert!(error.to_string().contains(&file), "{error}");
}

#[test]
fn a_password_of_an_external_target_may_stand_in_no_settings_whoever_gives_them() {
    type Layers<'a> = (&'a str, &'a [(&'a str, &'a str)], &'a [&'a str]);
    let given: [Layers<'_>; 4] = [
        ("[profiles.production.target]\npassword = \"s3cr3t\"\n", &[], &[]),
        ("[target]\npassword = \"s3cr3t\"\n", &[], &[]),
        ("", &[("XTASK_TARGET__PASSWORD", "s3cr3t")], &[]),
        ("", &[], &["target.password=s3cr3t"]),
    ];
    for (local, environment, sets) in given {
        let error = production(local, environment, sets).unwrap_err().to_string();
        assert!(error.contains("XTASK_TARGET_PASSWORD"), "{error}");
        assert!(!error.contains("s3cr3t"), "{error}");
    }
    // The development password of the team's file is not one of production.
    let loaded = production("", &[], &[]).unwrap();
    assert!(loaded.settings.target.password.is_none());
    assert!(!loaded.origins.contains_key("target.password"));
}
