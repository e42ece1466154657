//! Create something through the application's API, read it back, delete it again: the only thing `verify` ever writes,
//! and only when it was asked to.

use infra::http::Answer;
use infra::site::Site;
use serde_json::{Map, Value};

use crate::config::WriteProbe;

/// How long one answer may take, in seconds.
const SECONDS: u64 = 20;

/// Does it on the application behind an address. `Ok(false)`: there is nothing to borrow values from, and nothing was
/// written.
///
/// # Errors
/// What went wrong, in words; when something is left behind, which.
pub fn write_probe(probe: &WriteProbe, site: &Site<'_>) -> Result<bool, String> {
    let Some(body) = body(probe, site)? else {
        return Ok(false);
    };
    let text = Value::Object(body.clone()).to_string();
    let created = accepted("POST", &probe.path, site.post(&probe.path, &text, SECONDS))?;
    let created = object(&created)?;
    let id = match created.get(&probe.id) {
        Some(Value::String(id)) => id.clone(),
        Some(Value::Number(id)) => id.to_string(),
        _ => {
            return Err(format!(
                "POST {} answers without {}: what it made cannot be deleted",
                probe.path, probe.id
            ));
        }
    };
    let own = format!("{}/{id}", probe.path);
    let read = read_back(site, &own, &body);
    // Whatever was read: what was made goes.
    let deleted = accepted("DELETE", &own, site.delete(&own, SECONDS));
    if let Err(why) = deleted {
        return Err(format!("{why}; {own} is left and must be deleted by hand"));
    }
    let gone = site.get(&own, SECONDS)?;
    if gone.status != 404 {
        return Err(format!("GET {own}: status {} after it was deleted", gone.status));
    }
    read.map(|()| true)
}

/// What is sent; `None` when there is nothing to borrow from.
fn body(probe: &WriteProbe, site: &Site<'_>) -> Result<Option<Map<String, Value>>, String> {
    let own = probe.body.iter();
    let mut body: Map<String, Value> = own.map(|(k, v)| (k.clone(), Value::String(v.clone()))).collect();
    if probe.borrow.is_empty() {
        return Ok(Some(body));
    }
    let first = format!("{}?limit=1", probe.path);
    let list = accepted("GET", &probe.path, site.get(&first, SECONDS))?;
    let list: Vec<Map<String, Value>> =
        serde_json::from_str(&list.body).map_err(|error| format!("GET {}: no list: {error}", probe.path))?;
    let Some(first) = list.first() else {
        return Ok(None);
    };
    for key in &probe.borrow {
        let value = first
            .get(key)
            .ok_or_else(|| format!("GET {}: an entry has no {key}", probe.path))?;
        body.insert(key.clone(), value.clone());
    }
    Ok(Some(body))
}

fn read_back(site: &Site<'_>, path: &str, sent: &Map<String, Value>) -> Result<(), String> {
    let read = object(&accepted("GET", path, site.get(path, SECONDS))?)?;
    let other = sent.iter().find(|(key, value)| read.get(*key) != Some(value));
    match other {
        None => Ok(()),
        Some((key, _)) => Err(format!("GET {path}: {key} is not what was written")),
    }
}

fn accepted(method: &str, path: &str, answer: Result<Answer, String>) -> Result<Answer, String> {
    let answer = answer.map_err(|why| format!("{method} {path}: {why}"))?;
    if (200..300).contains(&answer.status) {
        return Ok(answer);
    }
    let said: String = answer.body.chars().take(200).collect();
    Err(format!("{method} {path}: status {}: {said}", answer.status))
}

fn object(answer: &Answer) -> Result<Map<String, Value>, String> {
    serde_json::from_str(&answer.body).map_err(|error| format!("the body is not a JSON object: {error}"))
}
