//! SQL for one psql call.

use super::quote;
use crate::secret::Secret;

/// SQL text with the values it refers to as `:'name'` (literal) or `:"name"` (identifier).
#[derive(Clone, Debug, Default)]
pub struct Script {
    sql: String,
    variables: Vec<(String, Value)>,
}

#[derive(Clone, Debug)]
enum Value {
    Plain(String),
    Secret(Secret),
}

impl Script {
    /// A script without variables.
    pub fn new(sql: impl Into<String>) -> Self {
        Self {
            sql: sql.into(),
            variables: Vec::new(),
        }
    }

    /// Adds SQL at the end.
    #[must_use]
    pub fn then(mut self, sql: &str) -> Self {
        self.sql.push_str(sql);
        self
    }

    /// Sets a psql variable. The value goes through standard input, not argv.
    #[must_use]
    pub fn var(mut self, name: &str, value: impl Into<String>) -> Self {
        self.variables.push((name.to_owned(), Value::Plain(value.into())));
        self
    }

    /// Sets a psql variable whose value is masked wherever the script is shown.
    #[must_use]
    pub fn secret_var(mut self, name: &str, value: &Secret) -> Self {
        self.variables
            .push((name.to_owned(), Value::Secret(value.clone())));
        self
    }

    /// What psql reads, secrets masked.
    pub(super) fn shown(&self) -> String {
        self.text(|secret| secret.to_string())
    }

    /// What psql reads on standard input.
    pub(super) fn input(&self) -> String {
        self.text(|secret| secret.expose().to_owned())
    }

    fn text(&self, show: impl Fn(&Secret) -> String) -> String {
        let mut text = String::new();
        for (name, value) in &self.variables {
            let value = match value {
                Value::Plain(value) => value.clone(),
                Value::Secret(secret) => show(secret),
            };
            text.push_str(&format!("\\set {name} {}\n", quote::psql_argument(&value)));
        }
        text.push_str(&self.sql);
        text.push('\n');
        text
    }
}
