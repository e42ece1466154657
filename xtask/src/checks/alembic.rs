//! Alembic's history as Alembic tells it, and its files. Nothing of the application is imported.

use infra::alembic::History;

use super::{Case, Check, Group, Looked, NotLooked, error};
use crate::observe::{AlembicFiles, TextFile};

pub(super) const CHECKS: &[Check] = &[
    Check {
        id: "alembic.history",
        group: Group::Alembic,
        meaning: "every revision file is readable, follows and depends on one that exists, and never on itself",
        why: "A missing `down_revision` stops `alembic upgrade` for everybody, and the error names only the id.",
        fix: "Restore the file that is missing, or correct `down_revision` or `depends_on`.",
        run: history,
    },
    Check {
        id: "alembic.one-head",
        group: Group::Alembic,
        meaning: "the history has one head",
        why: "With two heads `alembic upgrade head` does not know where to go. Two branches that were merged on one day make them.",
        fix: "`python -m alembic merge heads` in the backend's folder, or let one revision follow the other.",
        run: one_head,
    },
    Check {
        id: "alembic.url-from-settings",
        group: Group::Alembic,
        meaning: "`env.py` takes its URL from the application's settings",
        why: "The migration points Alembic at the target through the settings' variables. A URL in a file would upgrade another database.",
        fix: "Use the application's settings in `env.py`, and leave `sqlalchemy.url` out of `alembic.ini`.",
        run: url_from_settings,
    },
];

fn files<'a>(case: &Case<'a>) -> Result<&'a AlembicFiles, NotLooked> {
    super::settings::labeler(case)?;
    let files = case.config()?.alembic.as_ref();
    files.ok_or_else(|| NotLooked::because("the settings name no database for Alembic"))
}

fn told<'a>(case: &Case<'a>) -> Result<&'a History, NotLooked> {
    files(case)?.history.as_ref().map_err(NotLooked::because)
}

fn history(case: &Case<'_>) -> Looked {
    let faults = told(case)?.faults.iter();
    Ok(faults
        .map(|fault| error(&fault.what).at(&fault.file, fault.line))
        .collect())
}

fn one_head(case: &Case<'_>) -> Looked {
    let history = told(case)?;
    if !history.faults.is_empty() {
        return Err(NotLooked::because("the history cannot be read"));
    }
    let Some(last) = history.heads.last() else {
        let place = history.env.clone().unwrap_or_default();
        return Ok(vec![error("there is no revision").at(&place, 0)]);
    };
    if history.heads.len() == 1 {
        return Ok(Vec::new());
    }
    let place = history.revisions.get(last).cloned().unwrap_or_default();
    Ok(vec![
        error(format!("the history has the heads {}", history.heads.join(", ")))
            .wanted("one head")
            .hint("python -m alembic merge heads")
            .at(&place.file, place.line),
    ])
}

fn url_from_settings(case: &Case<'_>) -> Looked {
    let files = files(case)?;
    let Some(env) = &files.env else {
        let path = told(case)?.env.clone();
        let path = path.ok_or_else(|| NotLooked::because("the history cannot be read"))?;
        return Ok(vec![error("there is no env.py").at(&path, 0)]);
    };
    let mut findings = Vec::new();
    if let Some((line, _)) = code(env).find(|(_, text)| has_url(text)) {
        let text = "env.py holds a database URL of its own";
        findings.push(
            error(text)
                .wanted("the application's settings")
                .at(&env.path, line),
        );
    }
    let sources = ["settings", "get_settings", "os.environ", "getenv"];
    if !code(env).any(|(_, text)| sources.iter().any(|word| text.contains(word))) {
        let text = "env.py reads neither the application's settings nor the environment";
        findings.push(
            error(text)
                .wanted("the URL of the application's settings")
                .at(&env.path, 1),
        );
    }
    if let Some(ini) = &files.ini
        && let Some((line, url)) = ini_url(ini)
    {
        let overridden =
            code(env).any(|(_, text)| text.contains("sqlalchemy.url") || text.contains("create_engine"));
        // The template that `alembic init` writes is no URL.
        let real = !url.starts_with("driver://") && !url.contains("%(") && !url.is_empty();
        if real && (!overridden || has_password(&url)) {
            let text = if has_password(&url) {
                "alembic.ini holds a URL with a password"
            } else {
                "alembic.ini holds the URL that Alembic uses"
            };
            findings.push(
                error(text)
                    .wanted("no sqlalchemy.url: env.py sets it")
                    .at(&ini.path, line),
            );
        }
    }
    Ok(findings)
}

/// Lines that are not comments, from 1.
fn code(file: &TextFile) -> impl Iterator<Item = (usize, &str)> {
    let lines = file
        .text
        .lines()
        .enumerate()
        .map(|(at, line)| (at + 1, line.trim()));
    lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
}

fn has_url(line: &str) -> bool {
    [
        "postgresql://",
        "postgres://",
        "postgresql+psycopg2://",
        "postgresql+psycopg://",
        "postgresql+asyncpg://",
    ]
    .iter()
    .any(|scheme| {
        line.split(scheme)
            .nth(1)
            .is_some_and(|rest| rest.contains('@') && !rest.starts_with('{'))
    })
}

fn ini_url(ini: &TextFile) -> Option<(usize, String)> {
    code(ini).find_map(|(line, text)| {
        let (key, value) = text.split_once(['=', ':'])?;
        (key.trim() == "sqlalchemy.url").then(|| (line, value.trim().to_owned()))
    })
}

/// `scheme://user:password@host`
fn has_password(url: &str) -> bool {
    let Some((_, rest)) = url.split_once("://") else {
        return false;
    };
    rest.split_once('@')
        .is_some_and(|(login, _)| login.split_once(':').is_some_and(|(_, word)| !word.is_empty()))
}
