//! Values of `.env` that a Compose service does not get, although it reads the file: `environment:` wins over `env_file`.

use std::path::Path;

use serde_json::Value;

use super::{files, mappings, values};
use crate::checks::compose::{labeler, platform};
use crate::checks::{Case, Looked, NotLooked, warning};
use crate::observe::ComposeSeen;

/// Hosts are left out: inside a container the server has another name.
pub fn overridden(case: &Case<'_>) -> Looked {
    let config = case.config()?;
    let both = [
        (config.labeler_compose.as_ref(), labeler(case)),
        (config.platform_compose.as_ref(), platform(case)),
    ];
    let mut looked: Vec<_> = Vec::new();
    for (seen, understood) in both {
        match (seen, understood) {
            (Some(seen), Ok(file)) => looked.push((seen, file)),
            (Some(_), Err(why)) => return Err(why),
            (None, _) => {}
        }
    }
    if looked.is_empty() {
        return Err(NotLooked::because("no Compose file is here"));
    }
    let mut findings = Vec::new();
    for (env, document) in files(case, false)? {
        let value = values(document);
        for (seen, file) in &looked {
            for service in &file.services {
                if !reads(seen, &service.name, &env.path) {
                    continue;
                }
                let keys = mappings(case).flat_map(|(_, _, mapping)| {
                    let [_, rest @ ..] = mapping.keys();
                    rest
                });
                let differs = |key: &&str| match (service.environment.get(*key), value(key)) {
                    (Some(theirs), Some(ours)) => theirs.expose() != ours,
                    _ => false,
                };
                let keys: Vec<&str> = keys.filter(differs).collect();
                if !keys.is_empty() {
                    let text = format!(
                        "service {} sets {} over what .env says",
                        service.name,
                        keys.join(", ")
                    );
                    findings.push(
                        warning(text)
                            .wanted("the value in one place: a cutover changes .env alone")
                            .at(&service.file, service.line),
                    );
                }
            }
        }
    }
    Ok(findings)
}

/// Whether the file's own text names this `.env` under `env_file` of a service.
fn reads(seen: &ComposeSeen, service: &str, env: &Path) -> bool {
    let tree = infra::compose::yaml::parse(&seen.text).unwrap_or_default();
    let named = tree.pointer(&format!("/services/{service}/env_file"));
    let entries = match named {
        Some(Value::Array(entries)) => entries.as_slice(),
        Some(one) => std::slice::from_ref(one),
        None => &[],
    };
    let path = |entry: &Value| entry.get("path").unwrap_or(entry).as_str().map(str::to_owned);
    let folder = seen.path.parent().unwrap_or(Path::new(""));
    let is_it = |name: String| {
        let file = folder.join(name.trim_start_matches("./"));
        file == env || (file.canonicalize().ok() == env.canonicalize().ok() && file.exists())
    };
    entries.iter().filter_map(path).any(is_it)
}
