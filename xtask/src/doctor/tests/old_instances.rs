//! Old instances that share the target's place, on worlds made by hand.

use std::collections::BTreeMap;
use std::time::SystemTime;

use serde_json::{Value, json};

use crate::config::{self, Workspace};
use crate::doctor::{Case, Diagnosis, PROBLEMS, Past};
use crate::model::{RunDir, RunId};
use crate::observe::{Checkup, Held};
use crate::plan::worlds;

const OLD: &str = "labeler-postgres-platform";
const TARGET: &str = "platform-postgres";
const RUN: &str = "20260102_000000_abcd";

/// The guide's world, where the old platform instance is stopped and the target runs in its place, with nothing in it.
fn world() -> Value {
    let mut world = worlds::world();
    for (name, port) in [("platform", 5432), ("users", 5433), ("labeler", 5435)] {
        world["sources"][name]["state"]["container"]["ports"] = json!({ "5432": [port] });
        let named = json!({ "file": "backend/.env", "place": format!("localhost:{port}"), "what": "found", "here": true });
        world["sources"][name]["named"] = named;
    }
    stop(&mut world["sources"]["platform"]["state"]["container"]);
    world["sources"]["platform"]["running"] = json!(false);
    world["target"]["container"] = worlds::container(TARGET, "running");
    world["target"]["container"]["ports"] = json!({ "5432": [5432] });
    world["target"]["running"] = json!(true);
    world["target"]["server"] = worlds::server(160_014, &["platform"]);
    world["target"]["databases"] =
        json!({ "platform": { "facts": worlds::database("platform", 0), "revisions": [] } });
    world["target"]["port_holder"] = json!({ "container": TARGET });
    world
}

fn stop(container: &mut Value) {
    container["status"] = json!("exited");
}

/// After a migration: `.env` names the target for every database, the target is stopped, and somebody started the old
/// instance.
fn started_by_hand() -> Value {
    let mut world = world();
    for (name, prefix) in [
        ("platform", "PLATFORM_DB"),
        ("users", "USER_DB"),
        ("labeler", "LABELER_DB"),
    ] {
        world["env_files"][0]["mappings"][name] = worlds::mapping(prefix, "5432", name, 1);
    }
    world["sources"]["platform"]["state"]["container"]["status"] = json!("running");
    world["sources"]["platform"]["running"] = json!(true);
    for name in ["users", "labeler"] {
        stop(&mut world["sources"][name]["state"]["container"]);
        world["sources"][name]["running"] = json!(false);
        world["sources"][name]["named"] = json!(null);
    }
    stop(&mut world["target"]["container"]);
    world["target"]["running"] = json!(false);
    world["target"]["server"] = json!(null);
    world["target"]["databases"] = json!({});
    world["target"]["port_holder"] = json!({ "container": OLD });
    world
}

/// What the doctor finds, with this past of the platform's database and a backup that holds rows of it.
fn found(world: Value, past: Option<Past>) -> BTreeMap<&'static str, Vec<Diagnosis>> {
    let folder = tempfile::tempdir().unwrap();
    let workspace = Workspace::at(folder.path());
    let loaded = config::load(&workspace, crate::DEFAULT_PROFILE, &[], &[]).unwrap();
    let lost = [("public.datasets".to_owned(), Some(false))];
    let held = Held {
        backup: RUN.to_owned(),
        now: Some(Ok(lost.into())),
    };
    let seen = Checkup {
        seen: serde_json::from_value(world).unwrap(),
        logins: BTreeMap::new(),
        log: Vec::new(),
        inside: None,
        sessions: Vec::new(),
        newer_clients: None,
        client: None,
        space: Vec::new(),
        left: Vec::new(),
        target_volume: None,
        backups: [("platform".to_owned(), held)].into(),
    };
    let past = past
        .into_iter()
        .map(|past| ("platform".to_owned(), past))
        .collect();
    let case = Case {
        workspace: &workspace,
        loaded: &loaded,
        seen: &seen,
        past: &past,
        open: None,
        run: &RunDir::new(&workspace.runs(), RunId::parse(RUN).unwrap()),
    };
    let ours = [
        "connection-refused",
        "port-conflict",
        "old-instance-stopped",
        "database-missing",
        "database-emptied",
    ];
    let problems = PROBLEMS.iter().filter(|problem| ours.contains(&problem.id));
    let examined = problems.filter_map(|problem| Some((problem.id, (problem.examine)(&case).ok()?)));
    examined.filter(|(_, found)| !found.is_empty()).collect()
}

/// The one finding, its problem and its lines without remarks.
#[track_caller]
fn only(world: Value, past: Option<Past>) -> (&'static str, Diagnosis, Vec<String>) {
    let found = found(world, past);
    assert_eq!(found.len(), 1, "{found:#?}");
    let (id, all) = found.into_iter().next().unwrap();
    let [one] = all.as_slice() else {
        panic!("not one: {all:#?}")
    };
    (id, one.clone(), lines(one))
}

/// Lines to type, without remarks.
fn lines(one: &Diagnosis) -> Vec<String> {
    let line = |hint: &String| hint.split("  #").next().unwrap().to_owned();
    one.finding.hints.iter().map(line).collect()
}

fn stands() -> Past {
    Past::Stands {
        run: RUN.to_owned(),
        ended: SystemTime::UNIX_EPOCH,
    }
}

#[test]
fn a_target_in_the_place_of_an_old_instance_whose_rows_were_not_moved_makes_room_for_it() {
    for past in [None, Some(Past::RolledBack(RUN.to_owned()))] {
        let (id, one, lines) = only(world(), past);
        assert_eq!(id, "old-instance-stopped", "{one:#?}");
        assert_eq!(
            lines,
            [format!("docker stop {TARGET}"), format!("docker start {OLD}")]
        );
        assert!(one.fix.is_none(), "{one:#?}");
    }
}

#[test]
fn an_old_instance_whose_place_is_free_is_started_and_not_the_target() {
    let mut world = world();
    stop(&mut world["target"]["container"]);
    world["target"]["running"] = json!(false);
    world["target"]["server"] = json!(null);
    world["target"]["databases"] = json!({});
    world["target"]["port_holder"] = json!(null);
    let found = found(world, Some(Past::RolledBack(RUN.to_owned())));
    let ids: Vec<&str> = found.keys().copied().collect();
    assert_eq!(ids, ["connection-refused", "old-instance-stopped"]);
    let refused = &found["connection-refused"][0];
    assert!(refused.fix.is_none(), "{refused:#?}");
    let fix = found["old-instance-stopped"][0].fix.as_ref().unwrap();
    assert_eq!(fix.title, "start the old instance of platform");
}

#[test]
fn whoever_else_has_the_place_of_an_old_instance_makes_room_for_it_and_not_for_the_target() {
    let mut world = world();
    stop(&mut world["target"]["container"]);
    world["target"]["running"] = json!(false);
    world["target"]["server"] = json!(null);
    world["target"]["databases"] = json!({});
    world["target"]["port_holder"] = json!({ "container": "web" });
    let found = found(world, Some(Past::RolledBack(RUN.to_owned())));
    assert!(!found.contains_key("port-conflict"), "{found:#?}");
    let stopped = lines(&found["old-instance-stopped"][0]);
    assert_eq!(
        stopped,
        ["docker stop web".to_owned(), format!("docker start {OLD}")]
    );
}

#[test]
fn an_old_instance_that_may_hold_newer_rows_is_not_stopped_by_a_repair() {
    let port_conflict = |past| {
        let mut found = found(started_by_hand(), Some(past));
        let one = found.remove("port-conflict").unwrap().remove(0);
        (lines(&one), one)
    };
    let (lines, one) = port_conflict(stands());
    assert!(one.fix.is_none(), "{one:#?}");
    assert!(
        one.evidence[0].contains("may hold rows written since run"),
        "{one:#?}"
    );
    assert_eq!(
        lines,
        [
            format!("docker stop {OLD}"),
            "cargo xtask rollback".to_owned(),
            format!("docker start {TARGET}")
        ]
    );
}
