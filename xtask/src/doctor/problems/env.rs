//! `.env` still names the old world.

use std::time::SystemTime;

use infra::docker::Container as Seen;

use crate::doctor::act::{Act, Container, StartCluster, Verb};
use crate::doctor::{Case, Diagnosis, Examined, Fix, Past, Problem, Proof};
use crate::observe::{Held, Holder, LoginSeen, SourceState};
use crate::plan::{Action, Roles};

pub(in crate::doctor) const OLD_PORT: Problem = Problem {
    id: "env-old-port",
    title: "`.env` still points at an old port",
    meaning: "the databases are on the target, and `.env` names an old instance that no longer answers",
    symptoms: super::instance::SYMPTOMS,
    causes: "A `.env` from before the migration: restored by hand, copied from a colleague, a second checkout, or only some of the three \
             mappings changed. The doctor compares what `.env` names with where the data is: the old place does not answer, and \
             either the newest migration's cutover stands and the old instance was not started since, or without a migration every \
             table that has rows in the newest complete backup has rows on the target.",
    repair: "Sets host, port, name, and where the old role is not on the target also user and password, and no other byte; going back \
             brings the previous bytes back. While the old instance still answers, after a rollback, and where nothing says that the \
             target has the data, nothing is changed: then the old instance is the one in use. An old instance that was started after \
             the migration may hold newer rows: then a person decides.",
    proof: &[Proof {
        created: "`LABELER_DB_PORT` set to a port where nobody answers, a backup that the target has every table of",
        recognised: "the old port refuses, the target holds the backup's data",
        repaired: "the values of the mapping",
        test: "an_env_that_names_a_stopped_old_instance_is_pointed_at_the_target_and_back",
    }],
    examine: old_port,
};

pub(in crate::doctor) const OLD_STOPPED: Problem = Problem {
    id: "old-instance-stopped",
    title: "The old instance is stopped",
    meaning: "`.env` names an old instance that does not answer, and nothing says that its data is on the target",
    symptoms: super::instance::SYMPTOMS,
    causes: "Somebody stopped the old instance before a migration, or after a rollback. The target may have a database of the same name, even \
             one with tables: it does not have the data. The doctor reads the newest migration's journal, and compares the target with the \
             newest complete backup.",
    repair: "Starts the old instance; going back stops it. `.env` stays as it is. Where the target, or somebody else, runs in its place, \
             the lines are shown that stop the one and start the other. While a migration is neither at its end nor taken back, nothing \
             is started: `cargo xtask migrate --resume` or `cargo xtask rollback` decides. Nor where the cutover stands and the old instance was \
             started since: rows written to it are not on the target, and a person decides which of the two goes on.",
    proof: &[
        Proof {
            created: "the old instance stopped, no migration and no backup, tables on the target",
            recognised: "nothing says that the target has the data",
            repaired: "the old instance started, `.env` untouched; going back stops it",
            test: "an_old_instance_that_is_stopped_is_started_when_nothing_says_that_the_target_has_its_data",
        },
        Proof {
            created: "a migration; the old `.env` put back by hand, a row written to the old instance, which is stopped again",
            recognised: "the old instance was started after the run",
            repaired: "nothing: the lines are shown that look at it, go back, or move its rows again",
            test: "rows_that_were_written_to_the_old_instance_after_the_cutover_are_not_hidden",
        },
        Proof {
            created: "a migration, rolled back; the old instance stopped, an empty database on the target",
            recognised: "the newest run went back",
            repaired: "the old instance started, `.env` untouched",
            test: "after_a_rollback_a_stopped_old_instance_is_started_and_env_stays",
        },
    ],
    examine: old_stopped,
};

/// Who names a place where nobody answers, and whether the target has the data (how we know), or why that cannot be said.
fn silent<'a>(case: &'a Case<'_>) -> Vec<(&'a str, &'a LoginSeen, Result<String, Lack>)> {
    let logins = case.seen.logins.iter();
    logins
        .filter(|(name, login)| !case.in_charge(name) && !login.reached)
        .map(|(name, login)| (name.as_str(), login, target_has(case, name)))
        .collect()
}

/// Why we do not know that the target has the data.
#[derive(Debug)]
enum Lack {
    /// It does not, or nothing says so.
    Data(String),
    /// It has what this run moved; the old instance may have newer rows.
    Newer {
        /// The run.
        run: String,
        /// Why.
        why: String,
    },
}

impl Lack {
    fn why(&self) -> &str {
        match self {
            Self::Data(why) | Self::Newer { why, .. } => why,
        }
    }
}

/// When the server of an old instance was last started or stopped.
#[derive(Clone, Copy, Debug)]
enum LastUsed {
    /// Nothing of it is here.
    Gone,
    /// Then.
    At(SystemTime),
    /// It cannot be told.
    Unknown,
}

fn last_used(case: &Case<'_>, name: &str) -> LastUsed {
    let Some(source) = case.seen.seen.sources.get(name) else {
        return LastUsed::Gone;
    };
    match (&source.state, source.last_used) {
        // An engine that does not answer says nothing of a container.
        (SourceState::Absent, _) if case.seen.seen.docker.problem.is_none() => LastUsed::Gone,
        (_, Some(at)) => LastUsed::At(at),
        (_, None) => LastUsed::Unknown,
    }
}

/// How we know that the target has a database's data; the error says why we do not.
fn target_has(case: &Case<'_>, name: &str) -> Result<String, Lack> {
    let seen = &case.seen.seen.target;
    if seen.server.is_none() {
        return Err(Lack::Data("the target does not answer".to_owned()));
    }
    let database = seen.databases.get(name);
    let Some(database) = database.filter(|database| !database.facts.is_empty()) else {
        return Err(Lack::Data(format!(
            "the target has no database for {name} with content"
        )));
    };
    let past = case.past.get(name);
    let how = proven(&database.facts.name, past, case.seen.backups.get(name)).map_err(Lack::Data)?;
    match past {
        Some(Past::Stands { run, ended }) => {
            // One run is taken back as a whole: a `.env` that is half the one and half the other helps nobody.
            let together = case.past.iter().filter(|(_, other)| Some(*other) == past);
            let old = together.filter(|(other, _)| !case.in_charge(other));
            let mut whys = old.filter_map(|(other, _)| newer(run, *ended, other, last_used(case, other)));
            match whys.next() {
                Some(why) => Err(Lack::Newer {
                    run: run.clone(),
                    why,
                }),
                None => Ok(how),
            }
        }
        _ => Ok(how),
    }
}

/// Why the old instance may have rows that the target lacks: a server that was started after the run took whatever was
/// written to it. Neither the cutover nor the backup, both older, knows of that.
fn newer(run: &str, ended: SystemTime, name: &str, used: LastUsed) -> Option<String> {
    match used {
        LastUsed::Gone => None,
        LastUsed::At(at) if at <= ended => None,
        LastUsed::At(_) => Some(format!(
            "the old instance of {name} was started after run {run}; rows written to it since are not on the target"
        )),
        LastUsed::Unknown => Some(format!(
            "whether the old instance of {name} was started after run {run} cannot be told; rows written to it since are not on the target"
        )),
    }
}

fn proven(database: &str, past: Option<&Past>, held: Option<&Held>) -> Result<String, String> {
    match past {
        Some(Past::RolledBack(run)) => {
            return Err(format!("run {run} was rolled back: the old instance is in use"));
        }
        Some(Past::Unknown(run, why)) => {
            return Err(format!("what run {run} left cannot be told: {why}"));
        }
        Some(Past::Stands { .. }) | None => {}
    }
    if let Some(held) = held
        && held.is_emptied()
    {
        return Err(format!(
            "database {database} of the target has lost every row that backup {} holds",
            held.backup
        ));
    }
    if let Some(Past::Stands { run, .. }) = past {
        return Ok(format!("run {run} moved it here, and its cutover stands"));
    }
    let Some(held) = held else {
        return Err(
            "nothing says that the target has the data: no migration of this workspace, and no backup to compare with"
                .to_owned(),
        );
    };
    match &held.now {
        Some(Ok(tables)) if tables.is_empty() => {
            Err(format!("backup {} holds no rows to compare", held.backup))
        }
        Some(Ok(tables)) => match Held::lacking(tables)[..] {
            [] => Ok(format!(
                "each of the {} tables that have rows in backup {} has rows on the target",
                tables.len(),
                held.backup
            )),
            [first, ..] => Err(format!(
                "table {first} has rows in backup {} and none on the target",
                held.backup
            )),
        },
        Some(Err(why)) => Err(format!(
            "the target could not be compared with backup {}: {why}",
            held.backup
        )),
        None => Err(format!(
            "the target does not have what backup {} holds",
            held.backup
        )),
    }
}

fn old_port(case: &Case<'_>) -> Examined {
    case.env_speaks()?;
    let target = &case.settings().target;
    let mut found = Vec::new();
    for (name, login, has) in silent(case) {
        let place = format!("{}:{}", login.host, login.port);
        let diagnosis = Diagnosis::error(
            name,
            format!(".env looks for {name} on {place}, where nobody answers"),
        )
        .said(said(login));
        match has {
            Ok(how) => found.push(
                diagnosis
                    .evidence([format!(
                        "the target on {}:{} has the data: {how}",
                        target.host, target.port
                    )])
                    .wanted(format!("{}:{}", target.host, target.port))
                    .fix(point(case, name, login)),
            ),
            // The other problem: there is an old instance to start.
            Err(_) if left(case, name) => {}
            Err(lack) => {
                let diagnosis = diagnosis
                    .evidence([format!("not pointed at the target: {}", lack.why())])
                    .wanted("the instance that has the data; nothing of an old one is here");
                found.push(instead(case, name, diagnosis, &lack));
            }
        }
    }
    Ok(found)
}

/// What the system said of a place where nobody answers.
fn said(login: &LoginSeen) -> Option<&str> {
    login.works.as_ref().err().map(String::as_str)
}

/// Point `.env` at the target.
fn point(case: &Case<'_>, name: &str, login: &LoginSeen) -> Option<Fix> {
    let seen = &case.seen.seen.target;
    let database = &seen.databases.get(name)?.facts.name;
    // A role that came along keeps its name and password.
    let owner = seen.server.as_ref()?.databases.get(database);
    let roles = match owner.is_some_and(|entry| entry.owner == login.role) {
        true => Roles::Preserve,
        false => Roles::Unify,
    };
    let env = case.part(roles, "point .env at the target", |parts| {
        Ok(Some(Action::Cutover(parts.cutover(&parts.mapping(name))?)))
    })?;
    Some(Fix::new(
        format!("point .env at the target, for {name}"),
        vec![env],
    ))
}

/// Whether anything of the old instance is here.
fn left(case: &Case<'_>, name: &str) -> bool {
    let source = case.seen.seen.sources.get(name);
    source.is_some_and(|source| !matches!(source.state, SourceState::Absent | SourceState::External))
}

/// What a person can type where nothing is repaired.
fn instead(case: &Case<'_>, name: &str, diagnosis: Diagnosis, lack: &Lack) -> Diagnosis {
    if let Lack::Newer { run, .. } = lack {
        let look = start(case, name)
            .map(|line| format!("to look at it, start it; nothing of it is changed: {line}"));
        return diagnosis
            .evidence(look)
            .hint(format!(
                "cargo xtask rollback {run}  # the old instances stay in use, with what they hold now"
            ))
            .hint(
                "cargo xtask migrate --set-aside-existing  # moves what they hold now; what is on the target keeps another name",
            );
    }
    match case.seen.backups.get(name) {
        Some(held) => diagnosis.hint(format!("cargo xtask restore {} --database {name}", held.backup)),
        None => diagnosis.hint("cargo xtask migrate"),
    }
}

/// The line that starts the old instance, to look at it.
fn start(case: &Case<'_>, name: &str) -> Option<String> {
    let cmd = match &case.seen.seen.sources.get(name)?.state {
        SourceState::Container(container) => infra::docker::start(&container.name),
        SourceState::Cluster { cluster, .. } => cluster.start(&[], &cluster.log()),
        _ => return None,
    };
    Some(cmd.to_string())
}

/// Whether a stopped instance would serve another port than this one.
fn serves_another(state: &SourceState, port: u16) -> bool {
    match state {
        SourceState::Container(container) => container
            .ports
            .get(&5432)
            .is_some_and(|ports| !ports.is_empty() && !ports.contains(&port)),
        SourceState::Cluster { cluster, .. } => cluster.configured_port().is_some_and(|own| own != port),
        _ => false,
    }
}

/// The old instance shared the target's place, and the target is not what `.env` means there.
fn displaced(case: &Case<'_>, name: &str, old: &Seen) -> Diagnosis {
    let target = &case.settings().target;
    let place = format!("{}:{}", target.host, target.port);
    let why = match case.past.get(name) {
        Some(Past::RolledBack(run)) => format!("run {run} was rolled back"),
        _ => "no migration has moved it".to_owned(),
    };
    let diagnosis = Diagnosis::error(
        name,
        format!(
            ".env names {place} for {name}, the place of its old instance: container {} does not run, and its volume holds the rows",
            old.name
        ),
    )
    .evidence([format!("the target does not have them: {why}")])
    .wanted(format!("container {}, running", old.name));
    let start = infra::docker::start(&old.name).to_string();
    match &case.seen.seen.target.port_holder {
        None => {
            let act = Act::Container(Container::new(Verb::Start, old.name.clone()));
            diagnosis.fix(Some(Fix::new(
                format!("start the old instance of {name}"),
                vec![act],
            )))
        }
        Some(Holder::Container(holder)) => diagnosis.hint(format!("docker stop {holder}")).hint(start),
        Some(process) => diagnosis
            .evidence([format!("port {} belongs to {process}", target.port)])
            .hint(format!("{start}  # once that process has ended")),
    }
}

fn old_stopped(case: &Case<'_>) -> Examined {
    case.env_speaks()?;
    let names = case.settings().databases.keys();
    let mut found: Vec<Diagnosis> = names
        .filter_map(|name| Some(displaced(case, name, case.old_in_charge(name)?)))
        .collect();
    for (name, login, has) in silent(case) {
        let (Err(lack), true) = (has, left(case, name)) else {
            continue;
        };
        let place = format!("{}:{}", login.host, login.port);
        let Some(source) = case.seen.seen.sources.get(name) else {
            continue;
        };
        if source.running || serves_another(&source.state, login.port) {
            found.push(
                Diagnosis::error(
                    name,
                    format!(".env looks for {name} on {place}, where nobody answers, and that is not where the old instance serves"),
                )
                .said(said(login))
                .evidence([format!("not pointed at the target: {}", lack.why())])
                .wanted("host and port of the old instance in .env")
                .hint("cargo xtask status --settings"),
            );
            continue;
        }
        let diagnosis = Diagnosis::error(
            name,
            format!(".env names the old instance of {name} on {place}, and that one does not run"),
        )
        .said(said(login))
        .evidence([format!("not pointed at the target: {}", lack.why())])
        .wanted(match lack {
            Lack::Data(_) => "the old instance, running: it has the data",
            Lack::Newer { .. } => {
                "a person's decision: the old instance and the target may both hold rows that the other lacks"
            }
        });
        // A migration in the middle stopped it on purpose; after one, a person stopped it.
        let deciding =
            matches!(case.past.get(name), Some(Past::Unknown(..))) || matches!(lack, Lack::Newer { .. });
        let start = match &source.state {
            _ if deciding => None,
            SourceState::Container(container) => Some(Act::Container(Container::new(
                Verb::Start,
                container.name.clone(),
            ))),
            SourceState::Cluster { cluster, .. } => Some(Act::StartCluster(StartCluster(cluster.clone()))),
            _ => None,
        };
        found.push(match (start, &source.state) {
            (Some(start), _) => {
                let title = format!("start the old instance of {name}");
                diagnosis.fix(Some(Fix::new(title, vec![start])))
            }
            (None, SourceState::Volume(volume)) if !deciding => diagnosis
                .evidence([format!("its container is gone, and volume {volume} is left")])
                .hint("cargo xtask migrate"),
            (None, _) => instead(case, name, diagnosis, &lack),
        });
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(filled: Option<bool>) -> Held {
        Held {
            backup: "20260101_000000_abcd".to_owned(),
            now: Some(Ok([
                ("public.datasets".to_owned(), Some(true)),
                ("public.images".to_owned(), filled),
            ]
            .into())),
        }
    }

    #[test]
    fn only_a_cutover_that_stands_or_a_backup_whose_tables_are_all_there_says_that_the_target_has_the_data() {
        let run = || "20260102_000000_abcd".to_owned();
        let stands = || Past::Stands {
            run: run(),
            ended: SystemTime::UNIX_EPOCH,
        };
        let why = |past: Option<Past>, held: Option<Held>| proven("labeler", past.as_ref(), held.as_ref());
        assert!(why(Some(stands()), None).is_ok());
        assert!(why(None, Some(held(Some(true)))).is_ok());
        for refused in [
            why(None, None),
            why(None, Some(held(None))),
            why(None, Some(held(Some(false)))),
            why(Some(Past::RolledBack(run())), Some(held(Some(true)))),
            why(
                Some(Past::Unknown(run(), "no plan".to_owned())),
                Some(held(Some(true))),
            ),
        ] {
            refused.unwrap_err();
        }
        let emptied = Held {
            now: Some(Ok([("public.datasets".to_owned(), Some(false))].into())),
            ..held(None)
        };
        let refused = why(Some(stands()), Some(emptied)).unwrap_err();
        assert!(refused.contains("has lost every row"), "{refused}");
    }

    #[test]
    fn a_cutover_is_proof_only_while_the_old_instance_was_not_started_since() {
        let ended = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(100);
        let told = |used| newer("20260102_000000_abcd", ended, "labeler", used);
        let second = std::time::Duration::from_secs(1);
        for proof in [LastUsed::Gone, LastUsed::At(ended), LastUsed::At(ended - second)] {
            assert_eq!(told(proof), None, "{proof:?}");
        }
        let started = told(LastUsed::At(ended + second)).unwrap();
        assert!(started.contains("was started after run 20260102"), "{started}");
        assert!(told(LastUsed::Unknown).unwrap().contains("cannot be told"));
    }
}
