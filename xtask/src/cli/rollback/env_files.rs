//! Whether `.env` names the old world again.

use backend_env::{Document, Reader, Reading};

use super::Going;
use crate::plan::Action;
use crate::plan::action::{EnvFile, EnvValue};

/// What a person must do about `.env` files that name the target though the run is undone: somebody else wrote that, so that
/// the run has no previous bytes to bring back.
pub(super) fn on_the_target(going: &Going<'_>) -> Vec<String> {
    let cutovers = going.plan.steps.iter().filter_map(|step| match &step.action {
        Action::Cutover(cutover) => Some(cutover),
        _ => None,
    });
    let places = places(going);
    let files = cutovers.flat_map(|cutover| &cutover.files);
    let left = files.filter(|file| names_the_target(file, &places));
    left.map(|file| {
        format!(
            "{} names the target, and it is not this run that wrote that: set {} back to the old instances",
            file.path.display(),
            places.join(", ")
        )
    })
    .collect()
}

/// Whether a `.env` file names the target for any database: before the cutover too, where the target took the place of an old
/// instance. A file that cannot be read counts as one.
pub(super) fn any_on_the_target(going: &Going<'_>) -> bool {
    let databases = places(going);
    let mut files = going.plan.steps.iter().flat_map(|step| match &step.action {
        Action::Cutover(cutover) => cutover.files.as_slice(),
        _ => &[],
    });
    files.any(|file| match std::fs::read(&file.path) {
        Ok(bytes) => {
            let document = Document::parse(bytes);
            databases
                .chunks(2)
                .any(|place| all_planned(file, &document, place))
        }
        Err(_) => true,
    })
}

/// The keys that say where the databases of the run are: host and port of each.
fn places(going: &Going<'_>) -> Vec<String> {
    let databases = &going.context.loaded.settings.databases;
    let taken = databases
        .iter()
        .filter(|(name, _)| going.plan.databases.contains(name));
    taken
        .flat_map(|(_, database)| [database.env.host.clone(), database.env.port.clone()])
        .collect()
}

/// Whether a file that is not as it was when the plan was made names the target for all databases.
fn names_the_target(file: &EnvFile, places: &[String]) -> bool {
    let Ok(bytes) = std::fs::read(&file.path) else {
        return false;
    };
    infra::files::sha256_bytes(&bytes) != file.sha256 && all_planned(file, &Document::parse(bytes), places)
}

/// Whether each of these keys has the value that the cutover writes.
fn all_planned(file: &EnvFile, document: &Document, keys: &[String]) -> bool {
    keys.iter().all(|key| {
        let planned = file.changes.iter().find(|change| change.key == *key);
        let Some(EnvValue::Plain(planned)) = planned.map(|change| &change.value) else {
            return false;
        };
        matches!(document.read(key, Reader::PythonDotenv), Reading::Value(found) if found == planned.as_bytes())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::action::EnvChange;

    #[test]
    fn a_file_that_somebody_else_pointed_at_the_target_is_told_and_one_as_before_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(".env");
        let places = ["HOST", "PORT"].map(str::to_owned);
        let change = |key: &str, value: &str| EnvChange {
            key: key.to_owned(),
            value: EnvValue::Plain(value.to_owned()),
        };
        let old = "HOST=localhost\nPORT=5435\n";
        let file = EnvFile {
            path: path.clone(),
            before: folder.path().join("0.before"),
            sha256: infra::files::sha256_bytes(old.as_bytes()),
            template: None,
            changes: vec![change("HOST", "localhost"), change("PORT", "5432")],
        };
        for (text, told) in [
            (old, false),
            ("HOST=localhost\nPORT=5435\nOTHER=1\n", false),
            ("HOST=localhost\nPORT='5432' # the new one\n", true),
        ] {
            infra::files::write_private(&path, text.as_bytes()).unwrap();
            assert_eq!(names_the_target(&file, &places), told, "{text}");
        }
    }
}
