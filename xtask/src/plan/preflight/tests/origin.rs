//! Whether what was found is what `.env` means, what else lies there, and what a target that does not run may hold.

use super::*;

/// What `.env` says of labeler.
fn named(what: Value) -> impl Fn(&mut Value) {
    move |world| {
        let state = &mut world["sources"]["labeler"]["state"];
        if let Some(container) = state.get_mut("container") {
            container["ports"] = json!({ "5432": [5435] });
        }
        world["sources"]["labeler"]["named"] =
            json!({ "file": "backend/.env", "place": "localhost:5436", "what": what, "here": true });
    }
}

#[test]
fn another_place_in_env_than_the_one_that_was_found_is_refused_with_both() {
    error(
        "source.labeler.elsewhere",
        &[
            ".env names localhost:5436 for labeler, which is container mine",
            "container labeler-postgres-labeler, running, at port 5435",
            "databases.labeler.source.containers=[\"mine\"]",
            "cargo xtask env set backend/.env LABELER_DB_HOST=localhost LABELER_DB_PORT=5435",
            "backend/.env:31",
        ],
        named(json!({ "elsewhere": "mine" })),
    );
    error(
        "source.labeler.elsewhere",
        &["containers=[\"NAME\"]"],
        named(json!({ "elsewhere": null })),
    );
    assert_eq!(findings(named(json!("found"))), []);
}

#[test]
fn the_container_of_another_database_is_never_offered_and_nobody_is_sent_to_old_rows_of_a_server_elsewhere() {
    let hints = |id: &str, change: &dyn Fn(&mut Value)| {
        let found = findings(|world| change(world));
        let found = found.into_iter().find(|finding| finding.id == id);
        found.map(|finding| finding.hints).unwrap_or_default()
    };
    // The ports were edited first, as the old guide says, and the old stack still runs.
    let anothers = hints(
        "source.labeler.elsewhere",
        &named(json!({ "elsewhere": "labeler-postgres-platform" })),
    );
    assert_eq!(
        anothers,
        ["cargo xtask env set backend/.env LABELER_DB_HOST=localhost LABELER_DB_PORT=5435"]
    );
    let far = |database: &'static str| {
        move |world: &mut Value| {
            world["sources"][database]["named"] = json!({
                "file": "backend/.env", "place": "db.example.com:5432", "what": { "elsewhere": null }, "here": false,
            });
        }
    };
    assert_eq!(
        hints("source.platform.elsewhere", &far("platform")),
        ["cargo xtask migrate --only labeler,users  # without this one"]
    );
    let required = hints("source.labeler.elsewhere", &far("labeler"));
    assert_eq!(required.len(), 1);
    assert!(
        required[0].contains("databases.labeler.source.host=HOST"),
        "{required:?}"
    );
}

#[test]
fn nobody_is_sent_back_to_an_old_port_while_a_target_that_may_hold_the_rows_is_down() {
    let found = findings(|world| {
        named(json!({ "elsewhere": "labeler-postgres-platform" }))(world);
        world["sources"]["labeler"]["named"]["place"] = json!("localhost:5432");
        world["target"]["container"] = container("platform-postgres", "exited");
        world["target"]["exists"] = json!(true);
    });
    let elsewhere = found
        .iter()
        .find(|one| one.id == "source.labeler.elsewhere")
        .unwrap();
    assert_eq!(elsewhere.hints, ["cargo xtask doctor"], "{elsewhere}");
}

#[test]
fn a_volume_that_nothing_proves_is_told() {
    warning(
        "source.labeler.unproven",
        &["volume x_data is taken for labeler", "localhost:5436"],
        |world| {
            world["sources"]["labeler"]["state"] = json!({ "volume": "x_data" });
            named(json!("unproven"))(world);
        },
    );
}

#[test]
fn an_env_that_names_the_target_already_is_told_and_refused_while_the_target_is_down() {
    warning(
        "source.labeler.edited",
        &[
            "for labeler already",
            "rows are taken from container labeler-postgres-labeler",
        ],
        named(json!("target")),
    );
    let found = findings(|world| {
        named(json!("target"))(world);
        world["target"]["container"] = container("platform-postgres", "exited");
        world["target"]["exists"] = json!(true);
    });
    let text: String = found.iter().map(ToString::to_string).collect();
    assert_eq!(found[0].severity, Severity::Error, "{text}");
    assert!(text.contains("docker start platform-postgres"), "{text}");
    let content = findings(|world| {
        named(json!("target"))(world);
        running_target(world, &["labeler"]);
        world["target"]["databases"] =
            json!({ "labeler": { "facts": database("labeler", 3), "revisions": [] } });
    });
    assert_eq!(content.len(), 1, "{content:?}");
    assert_eq!(content[0].id, "target.labeler.not-empty");
}

#[test]
fn several_containers_without_a_decision_are_refused_with_their_names() {
    error(
        "source.users.containers",
        &[
            "labeler-postgres-user, running",
            "platform-postgres-users, exited",
            "containers=[\"NAME\"]",
        ],
        |world| {
            world["sources"]["users"]["rivals"] = json!([container("platform-postgres-users", "exited")]);
            world["sources"]["users"]["unsettled"] = json!(true);
        },
    );
}

#[test]
fn another_database_of_the_instance_in_env_than_the_one_that_is_moved_is_refused() {
    let other = |world: &mut Value| {
        named(json!("found"))(world);
        world["env_files"][0]["mappings"]["labeler"]["name"]["value"] = json!("labeler_v2");
    };
    error(
        "source.labeler.other-database",
        &[
            "labeler_v2",
            "settings move labeler",
            "databases.labeler.source.database=labeler_v2",
        ],
        |world| {
            other(world);
            world["sources"]["labeler"]["server"] = server(160_014, &["labeler", "labeler_v2"]);
        },
    );
    // The login tells of one that is not there.
    assert_eq!(findings(other), []);
}

#[test]
fn a_database_whose_name_a_shell_would_take_apart_is_quoted_in_the_line_to_paste() {
    let odd = r#"Us-ers "q" é's"#;
    error(
        "source.labeler.other-database",
        &[r#"hint: cargo xtask migrate --set 'databases.labeler.source.database=Us-ers "q" é'\''s'"#],
        |world| {
            named(json!("found"))(world);
            world["env_files"][0]["mappings"]["labeler"]["name"]["value"] = json!(odd);
            world["sources"]["labeler"]["server"] = server(160_014, &["labeler", odd]);
        },
    );
}

#[test]
fn a_backup_of_another_place_than_the_one_in_env_is_refused_with_lines_of_its_own() {
    let of = |change: &dyn Fn(&mut Value)| {
        let mut world = world();
        change(&mut world);
        let found = another_place(&seen(world), &settings(), "labeler", "cargo xtask backup create");
        found
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join("\n")
    };
    assert_eq!(of(&named(json!("found"))), "");
    let text = of(&named(json!({ "elsewhere": "mine" })));
    for words in [
        "error[source.labeler.elsewhere]",
        "hint: cargo xtask backup create --set ",
    ] {
        assert!(text.contains(words), "{words:?} is not in {text}");
    }
    let moved = |world: &mut Value| {
        named(json!("target"))(world);
        world["env_files"][0]["mappings"]["labeler"]["name"]["value"] = json!("labeler_v2");
    };
    assert_eq!(of(&moved), "", "nothing of it is on the target");
    let text = of(&|world| {
        moved(world);
        world["target"]["databases"]["labeler"] = json!({ "facts": database("labeler", 3), "revisions": [] });
    });
    assert!(
        text.contains("error[source.labeler.besides-target]: .env names database labeler_v2 of the target"),
        "{text}"
    );
    assert!(
        text.contains("LABELER_DB_HOST=localhost LABELER_DB_NAME=labeler"),
        "{text}"
    );
}

#[test]
fn other_databases_of_an_old_instance_are_named_with_what_they_hold() {
    warning(
        "source.labeler.beside",
        &[
            "also holds database labeler_archive with 2 relations",
            "does not come along",
        ],
        |world| world["sources"]["labeler"]["beside"] = json!([database("labeler_archive", 2)]),
    );
}

#[test]
fn without_an_engine_no_old_instance_is_called_absent() {
    error("docker.engine", &["Cannot connect"], |world| {
        world["docker"]["problem"] = json!("Cannot connect to the Docker daemon");
        for name in ["platform", "users", "labeler"] {
            world["sources"][name] = source("x", name);
            world["sources"][name]["state"] = json!("absent");
            world["sources"][name]["running"] = json!(false);
        }
        world["target"]["port_holder"] = json!(null);
    });
}

#[test]
fn an_absent_instance_whose_place_a_container_serves_is_told_with_its_name() {
    error(
        "source.labeler.absent",
        &["which is container mine", "containers=[\"mine\"]"],
        |world| {
            world["sources"]["labeler"]["state"] = json!("absent");
            named(json!({ "elsewhere": "mine" }))(world);
        },
    );
}

#[test]
fn a_compose_command_that_is_asked_for_and_missing_is_told_with_the_one_that_is_here() {
    let mut settings = settings();
    settings.docker.compose = Some(infra::compose::Program::Plugin);
    let mut world = world();
    world["docker"]["compose"] = json!(null);
    world["docker"]["other_compose"] = json!(["docker-compose", "1.29.2"]);
    let found = preflight(&seen(world), &settings, &request());
    let text = found[0].to_string();
    assert!(text.contains("asks for `docker compose`, which is not"), "{text}");
    assert!(text.contains("`docker-compose` 1.29.2 is"), "{text}");
    assert!(text.contains("docker.compose=\"docker-compose\""), "{text}");
}

#[test]
fn what_a_target_that_does_not_run_holds_is_called_unknown() {
    let down = |world: &mut Value| {
        world["target"]["container"] = container("platform-postgres", "exited");
        world["target"]["exists"] = json!(true);
        world["target"]["port_holder"] = json!(null);
    };
    warning(
        "target.unseen",
        &["platform-postgres, exited", "docker start platform-postgres"],
        down,
    );
    warning(
        "target.unseen",
        &["volume x_postgres_data, whose container is gone"],
        |world| {
            world["target"]["volume"] = json!("x_postgres_data");
        },
    );
    let text = only("target.unseen", Severity::Warning, |world| {
        down(world);
        world["target"]["port_holder"] = json!({ "container": "labeler-postgres-platform" });
    });
    assert!(!text.contains("docker start"), "its port is not free: {text}");
}

#[test]
fn extensions_and_versions_are_held_against_the_image_of_a_target_that_does_not_run() {
    let uses = |world: &mut Value| {
        world["sources"]["labeler"]["database"]["extensions"] = json!({ "postgis": "3.4" });
    };
    assert_eq!(findings(uses), [], "the same image");
    warning(
        "source.labeler.extension",
        &[
            "postgis",
            "postgis/postgis:16-3.4",
            "whether postgres:16-alpine offers that",
        ],
        |world| {
            uses(world);
            world["sources"]["labeler"]["state"]["container"]["image"] = json!("postgis/postgis:16-3.4");
        },
    );
    let newer = |world: &mut Value| world["sources"]["labeler"]["server"]["version_num"] = json!(170_002);
    let said = ["17.2", "postgres:16-alpine", "target.image=IMAGE"];
    // A checkout's Compose file may start another.
    warning("source.labeler.version", &said, newer);
    let found = findings(|world| {
        newer(world);
        world["platform"] = json!(null);
    });
    let version = found
        .iter()
        .find(|finding| finding.id == "source.labeler.version");
    assert_eq!(version.map(|finding| finding.severity), Some(Severity::Error));
    // No image takes part in a server that is not ours.
    let mut outside = settings();
    outside.target.control = crate::config::Control::External;
    let mut world = world();
    newer(&mut world);
    let found = preflight(&seen(world), &outside, &request());
    assert!(!found.iter().any(|finding| finding.id == "source.labeler.version"));
}

#[test]
fn tablespaces_are_told_and_refused_where_the_reader_does_not_see_them() {
    let uses = |world: &mut Value| {
        world["sources"]["labeler"]["database"]["tablespaces"] = json!({ "fast": "/mnt/fast" });
    };
    error(
        "source.labeler.tablespace",
        &["fast in /mnt/fast", "SET TABLESPACE pg_default"],
        uses,
    );
    warning("source.labeler.tablespace", &["default tablespace"], |world| {
        uses(world);
        world["sources"]["labeler"]["state"]["container"]["mounts"] =
            json!([{ "volume": "fast", "source": "", "destination": "/mnt" }]);
    });
}

#[test]
fn rows_that_no_dump_has_are_refused_or_told() {
    let holds = |extension: Value| {
        move |world: &mut Value| {
            world["sources"]["labeler"]["database"]["undumped"] =
                json!([{ "table": "public.adopted", "extension": extension }]);
        }
    };
    error(
        "source.labeler.undumped",
        &["they would be lost", "SET SCHEMA public"],
        holds(Value::Null),
    );
    warning(
        "source.labeler.undumped",
        &[
            "extension pg_trgm",
            "ALTER EXTENSION \"pg_trgm\" DROP TABLE public.adopted",
        ],
        holds(json!("pg_trgm")),
    );
}
