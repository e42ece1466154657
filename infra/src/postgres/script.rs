//! SQL for one psql call.

use super::quote;
use crate::secret::Secret;

/// SQL text with the values it refers to as `:'name'` (literal) or `:"name"` (identifier).
#[derive(Clone, Debug, Default)]
pub struct Script {
    sql: String,
    /// Lines given to psql before the SQL. They may hold secrets and are never printed.
    variables: Vec<(String, Secret)>,
}

impl Script {
    /// A script without variables.
    pub fn new(sql: impl Into<String>) -> Self {
        Self {
            sql: sql.into(),
            variables: Vec::new(),
        }
    }

    /// Sets a psql variable. The value goes through standard input, not argv.
    #[must_use]
    pub fn var(mut self, name: &str, value: impl Into<String>) -> Self {
        self.variables.push((name.to_owned(), Secret::new(value)));
        self
    }

    /// The SQL as a person may read it.
    pub fn sql(&self) -> &str {
        &self.sql
    }

    /// What psql reads on standard input.
    pub(super) fn input(&self) -> String {
        let mut text = String::new();
        for (name, value) in &self.variables {
            text.push_str(&format!(
                "\\set {name} {}\n",
                quote::psql_argument(value.expose())
            ));
        }
        text.push_str(&self.sql);
        text.push('\n');
        text
    }
}
