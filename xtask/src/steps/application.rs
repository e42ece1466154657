//! Start the application, judge its answers by their bodies, stop it.

use std::cell::RefCell;
use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use infra::http::{self, Answer};
use infra::postgres::facts;
use infra::{ports, wait};
use serde_json::{Value, json};

use super::{Failure, Probe, World};
use crate::config;
use crate::plan::action::{ANSWER_SECONDS, CheckApplication};

/// How long the application may take to stop.
const STOP: Duration = Duration::from_secs(10);

/// Asked anew each time: yesterday's answer proves nothing.
pub(super) fn probe(_: &CheckApplication, _: &World<'_>) -> Result<Probe, Failure> {
    Ok(Probe::Absent)
}

pub(super) fn apply(action: &CheckApplication, world: &World<'_>) -> Result<Value, Failure> {
    let port = ports::free(1).ok().and_then(|ports| ports.first().copied());
    let port = port.ok_or_else(|| Failure::new("this machine has no free port"))?;
    let log = world.run.logs().join("application-output.log");
    // A killed run must not leave an application behind that writes to either world.
    let cmd = infra::python::guarded(&action.python, &action.command(port));
    let child = world.runner.spawn_server(&cmd, &log)?;
    let limit = Duration::from_secs(action.limit_seconds);
    let url = |path: &str| format!("http://127.0.0.1:{port}{path}");
    let first = action.probes.first().map_or("/", |probe| probe.path.as_str());
    let started = wait::until(world.runner.interrupt(), limit, || {
        child
            .ended()
            .map(|_| false)
            .or_else(|| http::get(&url(first), 2).is_ok().then_some(true))
    });
    let empty = empty_databases(action, world);
    let judged = match started {
        Ok(true) => empty.and_then(|empty| {
            let heard = RefCell::new(Vec::new());
            let allowed = [empty.as_slice(), action.untouched.as_slice()].concat();
            let answers = ask(&action.probes, &allowed, |path| {
                let answer = http::get(&url(path), ANSWER_SECONDS)?;
                heard.borrow_mut().push(answer.clone());
                Ok(answer)
            })?;
            for (probe, answer) in action.probes.iter().zip(heard.take()) {
                for complaint in complaints(probe, &action.untouched, &answer) {
                    world.progress.warn(&format!(
                        "the application says that {complaint}; that database took no part in this run"
                    ));
                }
            }
            Ok((answers, empty))
        }),
        Ok(false) => Err(Failure::new("the application ended before it answered")),
        Err(wait::Stopped::Interrupted) => Err(Failure::interrupted("ask the application")),
        Err(wait::Stopped::TimedOut) => Err(Failure::new(format!(
            "the application does not answer {first} within {} s",
            action.limit_seconds
        ))),
    };
    child.stop(STOP);
    mask(&log, world)?;
    let (answers, left_out) = judged.map_err(|failure| {
        let tail = tail(&log).map_or_else(String::new, |tail| format!("\nits last lines:\n{tail}"));
        let hint = format!("read {}", log.display());
        Failure {
            message: format!("{}{tail}", failure.message),
            ..failure
        }
        .hint(hint)
    })?;
    Ok(json!({ "answers": answers, "left_out": left_out }))
}

/// The application wrote the file itself, and quotes what it was given when it complains.
fn mask(log: &Path, world: &World<'_>) -> Result<(), Failure> {
    let said = std::fs::read(log).with_context(|| format!("failed to read {}", log.display()))?;
    let masked = world
        .runner
        .redactor()
        .redact_output(&String::from_utf8_lossy(&said));
    infra::files::write_private(log, masked.as_bytes())
        .with_context(|| format!("failed to write {}", log.display()))?;
    Ok(())
}

pub(super) fn verify(_: &CheckApplication, _: &World<'_>) -> Result<(), Failure> {
    // Asking is the step itself.
    Ok(())
}

/// It was stopped again.
pub(super) fn undo(_: &CheckApplication, _: &World<'_>) -> Result<(), Failure> {
    Ok(())
}

/// Keys of databases that hold nothing yet.
fn empty_databases(action: &CheckApplication, world: &World<'_>) -> Result<Vec<String>, Failure> {
    let mut keys = Vec::new();
    for one in &action.may_be_empty {
        let server = one.instance.server(world.vault);
        if facts::database(&world.runner, &server, &one.database)?.is_empty() {
            keys.push(one.key.clone());
        }
    }
    Ok(keys)
}

/// Asks every question; the answers in short. The databases with these keys may say anything.
pub(super) fn ask(
    probes: &[config::Probe],
    empty: &[String],
    get: impl Fn(&str) -> Result<Answer, String>,
) -> Result<Vec<String>, Failure> {
    let mut answers = Vec::new();
    for probe in probes {
        let mut probe = probe.clone();
        if let Some(every) = &mut probe.every {
            every.except.extend(empty.iter().cloned());
        }
        let answer = get(&probe.path)
            .map_err(|error| Failure::new(format!("GET {} gets no answer: {error}", probe.path)))?;
        judge(&probe, &answer).map_err(|why| Failure::new(format!("GET {}: {why}", probe.path)))?;
        answers.push(format!("{} {}", probe.path, answer.status));
    }
    Ok(answers)
}

/// What an answer says of these keys that is not what the probe wants.
fn complaints(probe: &config::Probe, keys: &[String], answer: &Answer) -> Vec<String> {
    let (Some(every), Ok(body)) = (
        &probe.every,
        serde_json::from_str::<serde_json::Map<String, Value>>(&answer.body),
    ) else {
        return Vec::new();
    };
    let said = keys.iter().filter_map(|key| Some((key, body.get(key)?)));
    let other = said.filter(|(_, value)| value.as_str() != Some(every.equals.as_str()));
    other
        .map(|(key, value)| format!("{key} is {value} instead of {:?}", every.equals))
        .collect()
}

/// Whether an answer is what the probe wants. A status alone is never enough: `/health/db` says 200 when a database is
/// down. What cannot be understood is a failure.
///
/// # Errors
/// What is wrong, in words.
pub fn judge(probe: &config::Probe, answer: &Answer) -> Result<(), String> {
    if answer.status != 200 {
        return Err(format!("status {} instead of 200", answer.status));
    }
    if !answer.content_type.starts_with(probe.content_type.as_str()) {
        return Err(format!(
            "content type {:?} instead of {}",
            answer.content_type, probe.content_type
        ));
    }
    if probe.json.is_empty() && probe.require.is_empty() && probe.every.is_none() {
        return Ok(());
    }
    let body: serde_json::Map<String, Value> = serde_json::from_str(&answer.body)
        .map_err(|error| format!("the body is not a JSON object: {error}"))?;
    let is = |key: &str, wanted: &str| match body.get(key) {
        Some(Value::String(found)) if found == wanted => Ok(()),
        Some(found) => Err(format!("{key} is {found} instead of {wanted:?}")),
        None => Err(format!("the body has no {key}")),
    };
    probe.json.iter().try_for_each(|(key, wanted)| is(key, wanted))?;
    if let Some(missing) = probe.require.iter().find(|key| !body.contains_key(*key)) {
        return Err(format!("the body has no {missing}"));
    }
    if let Some(every) = &probe.every {
        let keys: Vec<&String> = body
            .keys()
            .filter(|key| key.ends_with(&every.keys_ending))
            .collect();
        if keys.is_empty() {
            return Err(format!("the body has no key that ends in {}", every.keys_ending));
        }
        keys.into_iter()
            .filter(|key| !every.except.contains(key))
            .try_for_each(|key| is(key, &every.equals))?;
    }
    Ok(())
}

/// The last lines of a log.
fn tail(path: &std::path::Path) -> Option<String> {
    let text = String::from_utf8_lossy(&std::fs::read(path).ok()?).into_owned();
    let lines: Vec<&str> = text.lines().collect();
    Some(lines[lines.len().saturating_sub(12)..].join("\n")).filter(|tail| !tail.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, body: &str) -> Answer {
        Answer {
            status,
            content_type: "application/json".to_owned(),
            body: body.to_owned(),
        }
    }

    fn databases() -> config::Probe {
        config::Probe {
            path: "/health/db".to_owned(),
            require: vec!["platform_db".to_owned(), "labeler_db".to_owned()],
            every: Some(config::Every {
                keys_ending: "_db".to_owned(),
                equals: "connected".to_owned(),
                except: Vec::new(),
            }),
            ..config::Probe::default()
        }
    }

    #[test]
    fn health_db_answers_200_when_a_database_is_down_and_is_judged_by_its_body() {
        let up = answer(200, r#"{"platform_db":"connected","labeler_db":"connected"}"#);
        assert_eq!(judge(&databases(), &up), Ok(()));
        let down = answer(
            200,
            r#"{"platform_db":"connected","labeler_db":"error: refused"}"#,
        );
        assert!(judge(&databases(), &down).unwrap_err().contains("labeler_db"));
    }

    #[test]
    fn what_cannot_be_understood_is_a_failure() {
        for body in [
            "",
            "OK",
            "[]",
            "{}",
            r#"{"platform_db":"connected"}"#,
            r#"{"platform_db":1,"labeler_db":1}"#,
        ] {
            assert!(judge(&databases(), &answer(200, body)).is_err(), "{body}");
        }
        assert!(judge(&databases(), &answer(404, "{}")).is_err());
    }

    #[test]
    fn a_database_that_is_left_out_may_say_anything_and_the_others_may_not() {
        let mut probe = databases();
        probe.every.as_mut().unwrap().except = vec!["platform_db".to_owned()];
        let platform = answer(
            200,
            r#"{"platform_db":"error: no table","labeler_db":"connected"}"#,
        );
        assert_eq!(judge(&probe, &platform), Ok(()));
        let both = answer(200, r#"{"platform_db":"error: no table","labeler_db":"error"}"#);
        assert!(judge(&probe, &both).unwrap_err().contains("labeler_db"));
    }

    #[test]
    fn what_the_application_says_of_a_database_that_took_no_part_is_told() {
        let down = answer(
            200,
            r#"{"platform_db":"error: refused","labeler_db":"connected"}"#,
        );
        let told = |keys: &[&str]| {
            let keys: Vec<String> = keys.iter().map(|key| (*key).to_owned()).collect();
            complaints(&databases(), &keys, &down)
        };
        assert_eq!(
            told(&["platform_db", "labeler_db"]),
            ["platform_db is \"error: refused\" instead of \"connected\""]
        );
        assert_eq!(told(&["platform"]), [] as [String; 0]);
    }

    #[test]
    fn docs_must_be_html() {
        let probe = config::Probe {
            content_type: "text/html".to_owned(),
            ..config::Probe::default()
        };
        assert!(judge(&probe, &answer(200, "{}")).is_err());
    }
}
