//! Passwords that no production server may have: those that everybody can read, and those that everybody guesses.

use std::path::PathBuf;

use super::is_placeholder;
use crate::config::{SecretName, Settings, Vault, Workspace};

/// Words that are no password, whatever digits and signs stand around them.
const GUESSED: [&str; 21] = [
    "admin",
    "administrator",
    "changeit",
    "default",
    "dev",
    "development",
    "example",
    "labeler",
    "letmein",
    "minioadmin",
    "pass",
    "passw",
    "password",
    "passwort",
    "platform",
    "postgres",
    "qwerty",
    "root",
    "secret",
    "test",
    "welcome",
];
/// What a password must have.
const SHORTEST: usize = 8;

/// Texts that everybody who has a checkout can read, each with its name.
pub struct Published(Vec<(String, String)>);

impl Published {
    /// The settings and Compose files that this program brings, and those of the checkouts, with their templates of `.env`.
    pub fn of(workspace: &Workspace, settings: &Settings) -> Self {
        let mut texts = vec![(
            "the built-in settings".to_owned(),
            infra::MIGRATION_TOML.to_owned(),
        )];
        let compose = infra::compose::UNIFIED.iter();
        texts.extend(compose.map(|(name, text)| ((*name).to_owned(), (*text).to_owned())));
        let mut files = vec![workspace.settings_file()];
        for root in &settings.labeler.repository {
            let root = workspace.resolve(root);
            let template = root.join(&settings.labeler.env_example);
            let beside = settings.labeler.env_files.iter();
            let beside = beside.map(|file| root.join(file).with_file_name(".env.example"));
            files.extend(beside.chain([template, root.join(".env.example")]));
            files.extend(settings.labeler.compose_files.iter().map(|file| root.join(file)));
        }
        for root in &settings.platform.repository {
            let folders = settings.platform.infrastructure.iter();
            let folders = folders.map(|folder| workspace.resolve(root).join(folder));
            let one = |folder: PathBuf| {
                let compose = settings.platform.compose_files.iter();
                let compose: Vec<PathBuf> = compose.map(|file| folder.join(file)).collect();
                compose.into_iter().chain([folder.join(".env.example")])
            };
            files.extend(folders.flat_map(one));
        }
        for file in files {
            // What is not there publishes nothing.
            if let Ok(bytes) = std::fs::read(&file) {
                let text = String::from_utf8_lossy(&bytes).into_owned();
                texts.push((file.display().to_string(), text));
            }
        }
        Self(texts)
    }

    /// Where a password stands as a word of its own.
    fn holds(&self, password: &str) -> Option<&str> {
        let inside = |c: char| c.is_alphanumeric() || c == '_';
        let stands = |text: &str| {
            text.match_indices(password).any(|(at, _)| {
                let (before, after) = (&text[..at], &text[at + password.len()..]);
                !before.ends_with(inside) && !after.starts_with(inside)
            })
        };
        let found = self.0.iter().find(|(_, text)| stands(text));
        found.map(|(name, _)| name.as_str())
    }
}

/// Why a production server may not have this password; `None` when nothing speaks against it.
pub fn weakness(password: &str, role: &str, published: &Published) -> Option<String> {
    let lower = password.to_lowercase();
    let letters: String = lower.chars().filter(|c| c.is_alphabetic()).collect();
    let core = lower.trim_matches(|c: char| !c.is_alphabetic());
    let own = role.to_lowercase();
    let words = ["changeme", "replaceme"];
    let why = match () {
        () if is_placeholder(password) || words.iter().any(|word| letters.contains(word)) => {
            "is a template's placeholder"
        }
        () if letters.contains("devpass") || GUESSED.contains(&core) => "is a development password",
        () if !own.is_empty()
            && lower
                .strip_prefix(&own)
                .is_some_and(|rest| rest.chars().all(|c| !c.is_alphabetic())) =>
        {
            "is the role's own name"
        }
        () if password.chars().count() < SHORTEST => "has less than 8 characters",
        () => {
            let place = published.holds(password)?;
            return Some(format!("is a development password: it stands in {place}"));
        }
    };
    Some(why.to_owned())
}

/// What is wrong with passwords that `.env` will name, each in a sentence without the password.
pub fn weak_passwords(workspace: &Workspace, settings: &Settings, vault: &Vault) -> Vec<String> {
    let published = Published::of(workspace, settings);
    let logins = settings.databases.iter();
    let logins = logins.map(|(name, database)| (SecretName::Login(name.clone()), &database.login));
    let all = [(SecretName::Target, &settings.target.user)]
        .into_iter()
        .chain(logins);
    let judged = all.filter_map(|(name, role)| {
        let why = weakness(vault.get(&name)?.expose(), role, &published)?;
        Some(format!("the password of {role} ({}) {why}", name.variable()))
    });
    judged.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::load;

    #[test]
    fn passwords_that_are_published_or_guessed_are_refused_and_others_are_not() {
        let folder = tempfile::tempdir().unwrap();
        let workspace = Workspace::at(folder.path().join("workspace"));
        let mut loaded = load(&workspace, "production", &[], &[]).unwrap();
        let settings = &mut loaded.settings;
        settings.labeler.repository = vec![folder.path().to_owned()];
        let template = folder.path().join(&settings.labeler.env_example);
        std::fs::create_dir_all(template.parent().unwrap()).unwrap();
        let text =
            b"LABELER_DB_PASSWORD=Blue-Heron-1\nDATABASE_URL=postgresql://u:grey_heron2@localhost/labeler\n";
        infra::files::write_private(&template, text).unwrap();
        let published = Published::of(&workspace, settings);
        let judge = |password: &str| weakness(password, "users_readonly", &published);
        for (password, why) in [
            ("labeler_devpass", "a development password"),
            ("Dev-Pass-2026", "a development password"),
            ("postgres123", "a development password"),
            ("password1", "a development password"),
            ("!Admin2026!", "a development password"),
            ("secret_00", "a development password"),
            ("minioadmin", "a development password"),
            ("REPLACE_ME_NOW", "placeholder"),
            ("change_me", "placeholder"),
            ("xxxxxxxxxx", "placeholder"),
            ("please-change-me", "placeholder"),
            ("users_readonly", "the role's own name"),
            ("Users_Readonly_2026", "the role's own name"),
            ("k7!Qz", "less than 8"),
            ("Blue-Heron-1", ".env.example"),
            ("grey_heron2", ".env.example"),
            ("labeler-redis", "the built-in settings"),
        ] {
            let found = judge(password).unwrap_or_else(|| panic!("{password} was taken"));
            assert!(found.contains(why), "{password}: {found}");
        }
        for password in [
            "Tk4-vast-Onion",
            "heron2-Blue-Heron-1x",
            "9f2c4e81ab03d7",
            "aktueller Stand 7",
        ] {
            assert_eq!(judge(password), None, "{password}");
        }
    }

    /// What the files that this program brings give as a password is refused as one.
    #[test]
    fn no_password_of_our_own_files_is_taken() {
        let folder = tempfile::tempdir().unwrap();
        let workspace = Workspace::at(folder.path());
        let loaded = load(&workspace, "development", &[], &[]).unwrap();
        let published = Published::of(&workspace, &loaded.settings);
        let password = loaded.settings.target.password.as_ref().unwrap();
        let onboarding = loaded.settings.onboarding.env.values().map(String::as_str);
        let ours = onboarding.filter(|value| !value.contains('{'));
        for password in ours.chain([password.expose()]) {
            assert!(weakness(password, "", &published).is_some(), "{password}");
        }
    }
}
