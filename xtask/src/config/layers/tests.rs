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
    // The team's file names the role.
    assert_eq!(target.user, "labeler_user");
    assert_eq!(
        loaded.origins["target.host"].1,
        Origin::Environment("PGHOST".to_owned())
    );
    // A local target is not theirs to say.
    let local = load_with("", &environment, &[]).unwrap();
    assert_eq!(local.settings.target.host, "localhost");
}

#[test]
fn a_service_comes_before_the_variables_and_shows_its_line() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("services");
    let text = "[new]\nhost=new.example\nsslmode=verify-ca\n\n[old]\nhost=old.example\nport=5439\nuser=u\n";
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
    // The profile says verify-full, and what is said is not filled.
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
