//! Sources on servers that are not ours.

use super::*;

/// What the preflight says of the labeler's source alone, on an external server with one change.
fn external(accept_unfenced: bool, change: impl FnOnce(&mut Value)) -> Vec<Finding> {
    let mut world = world();
    let source = &mut world["sources"]["labeler"];
    source["state"] = json!("external");
    source["external"] = json!({
        "host": "old.example", "port": 5432, "user": "admin", "maintenance_problem": null,
        "sessions": { "allowed": true, "owned": true, "ever": 1, "statistics_reset": null, "others": [] },
    });
    source["server"]["tls"] = json!("TLSv1.3");
    source["server"]["own_port"] = json!(5432);
    change(source);
    let request = Request {
        accept_unfenced,
        ..request()
    };
    let found = preflight(&seen(world), &settings(), &request);
    let about =
        |finding: &Finding| finding.id.starts_with("source.labeler.") && !finding.id.ends_with(".tls");
    found.into_iter().filter(about).collect()
}

#[track_caller]
fn told(found: &[Finding], id: &str, severity: Severity, words: &str) {
    let text = found.iter().map(ToString::to_string).collect::<String>();
    let one = found.iter().find(|finding| finding.id == id);
    assert_eq!(one.map(|finding| finding.severity), Some(severity), "{text}");
    assert!(
        one.unwrap().to_string().contains(words),
        "{words:?} is not in:\n{text}"
    );
}

#[test]
fn a_pooler_is_an_error_also_on_the_server_s_own_port_number() {
    assert_eq!(external(false, |_| {}), []);
    let found = external(false, |source| source["server"]["pooled"] = json!(true));
    told(
        &found,
        "source.labeler.pooler",
        Severity::Error,
        "databases.labeler.source.host=HOST",
    );
    let found = external(false, |source| source["server"]["own_port"] = json!(6000));
    told(&found, "source.labeler.pooler", Severity::Warning, "5432");
}

#[test]
fn who_replicates_from_a_source_is_named() {
    let slots = json!(["replication slot cdc (not in use now)"]);
    let found = external(false, |source| {
        source["external"]["sessions"]["replication"] = slots
    });
    told(
        &found,
        "source.labeler.replication",
        Severity::Warning,
        "slot cdc",
    );
}

#[test]
fn a_source_that_is_not_counted_and_cannot_be_closed_needs_a_persons_word() {
    let id = "source.labeler.uncounted";
    let uncounted = |source: &mut Value| {
        source["external"]["sessions"]["uncounted"] = json!(["ALTER ROLE app SET track_counts=off"]);
    };
    let open = |source: &mut Value| {
        uncounted(source);
        source["external"]["sessions"]["owned"] = json!(false);
    };
    // Behind a closed door all rows are read again.
    told(
        &external(false, uncounted),
        id,
        Severity::Warning,
        "ALTER ROLE app",
    );
    told(
        &external(false, open),
        id,
        Severity::Error,
        "--accept-unfenced-source",
    );
    told(&external(true, open), id, Severity::Warning, "ALTER ROLE app");
}

#[test]
fn a_role_that_may_have_too_few_sessions_is_refused_before_the_backup() {
    let limited = |limit: i32, superuser: bool| {
        external(false, |source| {
            let server = &mut source["server"];
            server["superuser"] = json!(superuser);
            let role = server["role"].as_str().unwrap().to_owned();
            server["roles"][role] = json!({ "superuser": superuser, "login": true, "createdb": false,
                "createrole": false, "connection_limit": limit });
        })
    };
    let id = "source.labeler.connection-limit";
    told(&limited(3, false), id, Severity::Error, "may have 3 sessions");
    for (limit, superuser) in [(-1, false), (100, false), (3, true)] {
        let found = limited(limit, superuser);
        assert!(
            !found.iter().any(|finding| finding.id == id),
            "{limit} {superuser}"
        );
    }
}
