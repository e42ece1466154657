//! Changes in `.xtask/local.toml`: comments, order and everything that is not meant stay as they are.

use serde::Deserialize;
use toml_edit::{DocumentMut, Item, Table, Value};

use super::broken::{self, Broken};
use super::{ConfigError, Settings};

/// What stands at the top of a file that was not there.
const HEADER: &str = "# This machine's own settings; they win over infra/migration.toml. Not under version control.\n\
    # `cargo xtask status --settings` shows each value and where it came from.\n\n";

/// What some editors put in front of a text.
const MARK: char = '\u{feff}';

/// The text with these settings in it, by dotted path. A value that is there already is not touched: the text is then
/// the same, byte for byte.
///
/// # Errors
/// When the text is not TOML, or a value does not fit its setting.
pub fn edit(text: &str, values: &[(String, String)]) -> Result<String, ConfigError> {
    let error = |why: String| ConfigError {
        place: ".xtask/local.toml".to_owned(),
        why,
    };
    // What stands in front of nothing would end up behind what is put in.
    let head = if text.trim().is_empty() { HEADER } else { "" };
    let mut document: DocumentMut = text
        .parse()
        .map_err(|e: toml_edit::TomlError| error(e.in_text(text)))?;
    let mut changed = false;
    for (path, value) in values {
        changed |= set(&mut document, path, value).map_err(|why| error(format!("{path}: {why}")))?;
    }
    Ok(if changed {
        as_before(text, &format!("{head}{document}"))
    } else {
        text.to_owned()
    })
}

/// The new text with the old one's byte order mark and line ends; where those are mixed, with what most lines have.
fn as_before(old: &str, new: &str) -> String {
    let unix = new.trim_start_matches(MARK).replace("\r\n", "\n");
    let (lines, windows) = (old.matches('\n').count(), old.matches("\r\n").count());
    let text = if windows * 2 > lines {
        unix.replace('\n', "\r\n")
    } else {
        unix
    };
    let mark = if old.starts_with(MARK) { "\u{feff}" } else { "" };
    format!("{mark}{text}")
}

/// Whether the value was another before.
fn set(document: &mut DocumentMut, path: &str, text: &str) -> Result<bool, String> {
    let mut why = String::new();
    // TOML when it reads as TOML of a type that fits, else a string; as on the command line.
    for value in [text.parse::<Value>().ok(), Some(Value::from(text))]
        .into_iter()
        .flatten()
    {
        let mut tried = document.clone();
        let changed = put(&mut tried, path, &value)?;
        match Settings::deserialize(toml_edit::de::Deserializer::from(tried.clone())) {
            Ok(_) => {
                *document = tried;
                return Ok(changed);
            }
            Err(error) if why.is_empty() => why = broken::message(&error),
            Err(_) => {}
        }
    }
    Err(why)
}

fn put(document: &mut DocumentMut, path: &str, value: &Value) -> Result<bool, String> {
    let (tables, key) = path.rsplit_once('.').unwrap_or(("", path));
    let mut item: &mut Item = document.as_item_mut();
    for name in tables.split('.').filter(|name| !name.is_empty()) {
        let table = item
            .as_table_like_mut()
            .ok_or_else(|| format!("{name} cannot be in something that is no table"))?;
        item = table.entry(name).or_insert_with(|| {
            let mut table = Table::new();
            // A table that only holds tables needs no header of its own.
            table.set_implicit(true);
            Item::Table(table)
        });
    }
    let table = item
        .as_table_like_mut()
        .ok_or_else(|| format!("{tables} is no table"))?;
    match table.get_mut(key).and_then(Item::as_value_mut) {
        Some(old) if plain(old) == plain(value) => return Ok(false),
        // The comment behind a value stays behind it.
        Some(old) => {
            let decor = old.decor().clone();
            *old = value.clone();
            *old.decor_mut() = decor;
        }
        None => {
            table.insert(key, Item::Value(value.clone()));
        }
    }
    Ok(true)
}

/// The value without its surroundings.
fn plain(value: &Value) -> String {
    value.clone().decorated("", "").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect()
    }

    #[test]
    fn comments_and_order_stay_and_only_the_value_changes() {
        let before = "# mine\n[redis]\nport = 7000 # taken: 6379\n\n[target]  # the new one\n# why\nport = 5440   # free here\nhost = 'db'\n";
        let after = edit(
            before,
            &values(&[("target.port", "5441"), ("labeler.repository", "[\"../l\"]")]),
        );
        assert_eq!(
            after.unwrap(),
            before.replace("5440   # free", "5441   # free") + "\n[labeler]\nrepository = [\"../l\"]\n"
        );
    }

    #[test]
    fn a_value_that_is_there_already_changes_no_byte() {
        let before = "target = { port = 5_440 }\r\n# end";
        assert_eq!(edit(before, &[]).unwrap(), before);
        let inline = "[target]\nhost   =    \"db\"  # x\n";
        assert_eq!(edit(inline, &values(&[("target.host", "db")])).unwrap(), inline);
    }

    #[test]
    fn a_new_file_says_what_it_is_and_reads_back() {
        let text = edit(
            "",
            &values(&[("databases.users.source.database", "u"), ("target.user", "12")]),
        )
        .unwrap();
        assert!(text.starts_with("# This machine's own"), "{text}");
        let settings: Settings = toml_edit::de::from_str(&text).unwrap();
        assert_eq!(settings.databases["users"].source.database, "u");
        assert_eq!(settings.target.user, "12");
    }

    #[test]
    fn line_ends_and_a_byte_order_mark_stay_as_they_are() {
        let before = "\u{feff}# mine\r\n[target]\r\nport = 5440 # free\r\n";
        let values = values(&[("target.port", "5441"), ("redis.port", "7000")]);
        assert_eq!(
            edit(before, &values).unwrap(),
            before.replace("5440", "5441") + "\r\n[redis]\r\nport = 7000\r\n"
        );
        // And again: nothing to change, not a byte.
        let after = edit(before, &values).unwrap();
        assert_eq!(edit(&after, &values).unwrap(), after);
        assert!(!edit("[target]\nport = 1\n", &values).unwrap().contains('\r'));
        assert!(!edit("", &values).unwrap().contains('\r'));
    }

    #[test]
    fn a_wrong_key_or_type_is_refused() {
        for (key, value) in [
            ("target.prot", "1"),
            ("target.port", "many"),
            ("target.port.x", "1"),
        ] {
            assert!(
                edit("[target]\nport = 1\n", &values(&[(key, value)])).is_err(),
                "{key}"
            );
        }
    }
}
