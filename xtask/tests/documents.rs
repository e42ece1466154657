//! What the documents name must be there: files, commands, tests. And what the sources mark must be what ci takes it for.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// Files with this ending below the workspace's own folders.
fn files(ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open: Vec<PathBuf> = ["docs", "xtask", "infra", "backend-env"]
        .iter()
        .map(|name| root().join(name))
        .collect();
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => open.push(path),
                false if path.extension().is_some_and(|found| found == ending) => found.push(path),
                false => {}
            }
        }
    }
    found
}

/// README, CHANGELOG and everything in docs, with their text.
fn documents() -> Vec<(PathBuf, String)> {
    let mut paths = files("md");
    paths.extend(["README.md", "CHANGELOG.md"].map(|name| root().join(name)));
    assert!(paths.len() > 8, "{paths:?}");
    paths
        .into_iter()
        .map(|path| (path.clone(), std::fs::read_to_string(path).unwrap()))
        .collect()
}

fn sources() -> String {
    files("rs")
        .iter()
        .map(|path| std::fs::read_to_string(path).unwrap())
        .collect()
}

#[test]
fn links_lead_somewhere() {
    for (path, text) in documents() {
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let file = link.split('#').next().unwrap();
            if !link.starts_with("http") && !file.is_empty() {
                assert!(
                    path.parent().unwrap().join(file).exists(),
                    "{}: {link}",
                    path.display()
                );
            }
        }
    }
}

#[test]
fn commands_exist_unless_the_readme_says_that_they_are_missing() {
    let read = |name: &str| std::fs::read_to_string(root().join(name)).unwrap();
    let (reference, readme) = (read("docs/reference/cli.md"), read("README.md"));
    let known: Vec<&str> = reference
        .lines()
        .filter_map(|line| line.strip_prefix("## cargo xtask "))
        .collect();
    assert!(known.contains(&"migrate"), "{known:?}");
    let missing = readme.split("## Not yet").nth(1).unwrap_or_default();
    for (path, text) in documents() {
        for rest in text.split("cargo xtask ").skip(1) {
            let word: String = rest.chars().take_while(|c| c.is_ascii_lowercase()).collect();
            let there = known.contains(&word.as_str()) || missing.contains(&format!("`{word}`"));
            assert!(word.is_empty() || there, "{}: cargo xtask {word}", path.display());
        }
    }
    for command in known {
        assert!(
            !missing.contains(&format!("`{command}`")),
            "{command} is there now"
        );
    }
}

#[test]
fn tests_that_the_architecture_names_exist() {
    let text = std::fs::read_to_string(root().join("docs/architecture.md")).unwrap();
    let sources = sources();
    let name = |word: &&str| {
        word.matches('_').count() > 2 && word.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    };
    let named: Vec<&str> = text.split('`').skip(1).step_by(2).filter(name).collect();
    assert!(named.len() > 30, "{named:?}");
    for test in named {
        assert!(sources.contains(&format!("fn {test}()")), "{test}");
    }
}

#[test]
fn an_ignored_test_says_why_in_words_that_ci_understands() {
    // In two pieces, because this file is one of those that are read.
    let mark = ["#[ign", "ore"].concat();
    for path in files("rs") {
        let text = std::fs::read_to_string(&path).unwrap();
        for line in text.lines().filter(|line| line.trim().starts_with(&mark)) {
            let reason = line.split('"').nth(1).unwrap_or_default();
            let understood = ["needs Docker", "needs Chromium", "needs PostgreSQL with TLS"]
                .contains(&reason)
                || reason.starts_with("takes ")
                || reason.starts_with("run by ");
            assert!(understood, "{}: {line}", path.display());
        }
    }
}
