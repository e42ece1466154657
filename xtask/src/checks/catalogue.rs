//! Every check, and the page that explains them.

use std::fmt::Write;

use super::{Check, Group};

/// Every check in the order of the page.
pub static CHECKS: std::sync::LazyLock<Vec<Check>> = std::sync::LazyLock::new(|| {
    [
        super::settings::CHECKS,
        super::env::CHECKS,
        super::compose::CHECKS,
        super::alembic::CHECKS,
        super::instance::CHECKS,
        super::databases::CHECKS,
        super::data::CHECKS,
        super::privileges::CHECKS,
        super::application::CHECKS,
        super::cleanup::CHECKS,
    ]
    .concat()
});

/// `docs/checks.md`.
pub fn page() -> String {
    let mut out = String::from(
        "# Checks\n\nMade from the checks themselves by `cargo xtask verify --list --markdown`; a test keeps it fresh.\n\n\
         `cargo xtask verify` runs them; `--only` and `--skip` take ids and groups. A check that cannot look is *skipped* and \
         says why: it never counts as passed.\n\n| Scope | Looks at | Needs |\n|---|---|---|\n\
         | `config` | `.env` files, templates, Compose files, Alembic's files, `infra/migration.toml` | nothing but the files, git where there is a checkout, and any Python with Alembic for its history |\n\
         | `databases` | the target instance and its databases | the instance |\n\
         | `application` | the application and Redis | both running |\n\
         | `all` | all of these, and what the migration left behind | |\n",
    );
    for group in Group::ALL {
        let scope = group.scope().name();
        // Writing to a String cannot fail.
        let _ = write!(out, "\n## {} (scope `{scope}`)\n", group.name());
        for check in CHECKS.iter().filter(|check| check.group == group) {
            let _ = write!(
                out,
                "\n### `{}`\n\n{}.\n\n**Why.** {}\n\n**Fix.** {}\n",
                check.id,
                sentence(check.meaning),
                check.why,
                check.fix
            );
        }
    }
    out
}

fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    match chars.next() {
        Some(first) => first.to_uppercase().chain(chars).collect(),
        None => String::new(),
    }
}
