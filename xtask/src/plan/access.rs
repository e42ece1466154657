//! What of roles and privileges does not come over, and what reads along. Pure; an archive holds none of it.

use infra::postgres::access::Access;
use infra::postgres::facts::ServerFacts;

use super::Roles;
use crate::model::Finding;

/// What people must know of one source. `shared`: the server is not this database's alone, and roles that have nothing here
/// are other people's.
pub(super) fn findings(
    name: &str,
    access: &Access,
    server: &ServerFacts,
    shared: bool,
    roles: Roles,
) -> Vec<Finding> {
    let concerns = |role: &str| !shared || access.carried.iter().any(|known| known == role);
    let there: Vec<&String> = server
        .roles
        .keys()
        .filter(|role| **role != server.role && concerns(role))
        .collect();
    let mut findings = match roles {
        Roles::Unify => unified(name, access, server, &there),
        Roles::Preserve => preserved(name, access, server, &there),
    };
    if !access.slots.is_empty() {
        findings.push(
            Finding::warning(
                format!("source.{name}.slots"),
                format!(
                    "others read the changes of {name} through replication slots, and get none from the target: {}",
                    access.slots.join(", ")
                ),
            )
            .wanted("their subscriptions made anew on the target, or ended"),
        );
    }
    findings
}

/// Everything belongs to one role: the others and what they were granted stay behind.
fn unified(name: &str, access: &Access, server: &ServerFacts, there: &[&String]) -> Vec<Finding> {
    let mut left: Vec<String> = Vec::new();
    for role in there.iter().copied() {
        let login = server.roles.get(role).is_some_and(|entry| entry.login);
        let named = access.named.contains(role);
        let mut notes = Vec::new();
        if named {
            notes.push("is made without login".to_owned());
        } else if login {
            notes.push("may log in".to_owned());
        }
        notes.extend(access.granted.get(role).map(privileges));
        if named && notes.len() == 1 && !login {
            // It comes as it was.
            continue;
        }
        left.push(with_notes(role, &notes));
    }
    left.extend(
        access
            .granted
            .get("PUBLIC")
            .map(|n| with_notes("PUBLIC", &[privileges(n)])),
    );
    if left.is_empty() {
        return Vec::new();
    }
    vec![
        Finding::warning(
            format!("source.{name}.roles"),
            format!(
                "roles of {name} and what they were granted stay behind: {}",
                left.join(", ")
            ),
        )
        .wanted("the same roles and GRANTs on the target, where somebody relies on them"),
    ]
}

/// The roles of the database come over; nobody else does.
fn preserved(name: &str, access: &Access, server: &ServerFacts, there: &[&String]) -> Vec<Finding> {
    let comes = |role: &str| role == server.role || access.carried.iter().any(|known| known == role);
    let mut findings = Vec::new();
    let mut left: Vec<String> = there
        .iter()
        .filter(|role| !comes(role))
        .map(ToString::to_string)
        .collect();
    let lost = access
        .memberships
        .iter()
        .filter(|m| comes(&m.member) && !comes(&m.role));
    left.extend(lost.map(|m| format!("the membership of {} in {}", m.member, m.role)));
    if !left.is_empty() {
        findings.push(
            Finding::warning(
                format!("source.{name}.roles"),
                format!(
                    "nothing in {name} belongs or is granted to them, and they stay behind: {}",
                    left.join(", ")
                ),
            )
            .wanted("the same roles and memberships on the target, where somebody relies on them"),
        );
    }
    if !access.superusers.is_empty() {
        findings.push(
            Finding::error(
                format!("source.{name}.superuser-owned"),
                format!(
                    "only a superuser may own {}, and no role is made again as one",
                    access.superusers.join(", ")
                ),
            )
            .wanted("the objects dropped from the source, or everything given to the target's role")
            .hint("cargo xtask migrate --roles unify"),
        );
    }
    let bypassing: Vec<&str> = access
        .bypassing
        .iter()
        .map(String::as_str)
        .filter(|role| comes(role))
        .collect();
    if !bypassing.is_empty() {
        findings.push(Finding::warning(
            format!("source.{name}.bypass"),
            format!(
                "policies of {name} did not bind {}, and would on the target: made again with BYPASSRLS, and never as a superuser",
                bypassing.join(", ")
            ),
        ));
    }
    findings
}

fn privileges(number: &u64) -> String {
    format!(
        "{number} {}",
        if *number == 1 { "privilege" } else { "privileges" }
    )
}

fn with_notes(role: &str, notes: &[String]) -> String {
    match notes {
        [] => role.to_owned(),
        notes => format!("{role} ({})", notes.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use infra::postgres::access::Membership;

    use super::*;

    fn server(roles: &[(&str, bool)]) -> ServerFacts {
        let roles: serde_json::Map<String, serde_json::Value> = roles
            .iter()
            .map(|(name, login)| {
                let role = serde_json::json!({"superuser": false, "login": login, "createdb": false, "createrole": false});
                ((*name).to_owned(), role)
            })
            .collect();
        serde_json::from_value(serde_json::json!({
            "version_num": 160_000, "max_connections": 100, "reserved_connections": 3, "connections": 1,
            "role": "old", "superuser": true, "createdb": true, "createrole": true, "databases": {},
            "roles": roles, "available_extensions": [],
        }))
        .unwrap()
    }

    fn found(access: &Access, shared: bool, roles: Roles) -> String {
        let server = server(&[
            ("old", true),
            ("analyst", true),
            ("reader", false),
            ("policied", false),
        ]);
        let found: Vec<String> = findings("labeler", access, &server, shared, roles)
            .into_iter()
            .map(|finding| format!("{}: {}", finding.id, finding.found))
            .collect();
        found.join("\n")
    }

    #[test]
    fn roles_that_stay_behind_are_told_with_what_they_lose() {
        let mut access = Access {
            named: vec!["policied".to_owned()],
            carried: vec!["policied".to_owned(), "reader".to_owned()],
            ..Access::default()
        };
        access.granted.insert("reader".to_owned(), 3);
        access.granted.insert("PUBLIC".to_owned(), 1);
        let unified = found(&access, false, Roles::Unify);
        assert!(
            unified
                .ends_with("stay behind: analyst (may log in), reader (3 privileges), PUBLIC (1 privilege)"),
            "{unified}"
        );
        let preserved = found(&access, false, Roles::Preserve);
        assert!(preserved.ends_with("they stay behind: analyst"), "{preserved}");
        let shared = found(&access, true, Roles::Unify);
        assert!(
            !shared.contains("analyst") && shared.contains("reader"),
            "{shared}"
        );
    }

    #[test]
    fn preserve_tells_lost_memberships_bypassed_policies_and_readers_of_changes() {
        let access = Access {
            carried: vec!["analyst".to_owned(), "reader".to_owned(), "policied".to_owned()],
            memberships: vec![Membership {
                member: "analyst".to_owned(),
                role: "pg_read_all_data".to_owned(),
            }],
            bypassing: vec!["old".to_owned()],
            superusers: vec!["event trigger audit".to_owned()],
            slots: vec!["mirror".to_owned()],
            ..Access::default()
        };
        let found = found(&access, false, Roles::Preserve);
        for words in [
            "source.labeler.roles: ",
            "the membership of analyst in pg_read_all_data",
            "source.labeler.superuser-owned: only a superuser may own event trigger audit",
            "source.labeler.bypass: policies of labeler did not bind old",
            "source.labeler.slots: others read the changes of labeler through replication slots",
        ] {
            assert!(found.contains(words), "{words}\n{found}");
        }
    }
}
