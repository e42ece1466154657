//! What of a database comes over when the role that restores is no superuser. Pure; preflight tells it, the plan does it.

use infra::postgres::facts::{DatabaseFacts, ServerFacts};
use infra::postgres::unprivileged::{LeftOut, Unprivileged};

use infra::postgres::quote;

use crate::config::Settings;
use crate::model::Finding;
use crate::observe::Observed;

/// Class of [`LeftOut`]: what `ALTER ROLE .. IN DATABASE` set for another role.
pub const ROLE_SETTINGS: &str = "settings of role";

/// How the objects of one database fare that only a superuser could create.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Carried {
    /// Left out: nothing depends on them, or they hold no data.
    pub left_out: Vec<LeftOut>,
    /// The existing database to copy, because it holds extensions that our role cannot create.
    pub template: Option<String>,
    /// The extensions that the copy brings along.
    pub extensions_there: Vec<String>,
    /// Extensions that cannot be had, with some of the objects that need them.
    pub missing: Vec<(String, Vec<String>)>,
    /// Other objects that cannot be had.
    pub needs_superuser: Vec<String>,
    /// Tables whose rows policies would hide from our role on the target, so that they could not be compared.
    pub hidden: Vec<String>,
    /// Roles that policies name, that are missing and that our role cannot create.
    pub missing_roles: Vec<String>,
}

impl Carried {
    /// Decides for one database of a migration. Without a target that was asked, everything comes over.
    pub fn over(seen: &Observed, settings: &Settings, name: &str) -> Self {
        let source = seen.sources.get(name);
        let subscriptions = source.and_then(|source| Some(&source.database.as_ref()?.access.subscriptions));
        let source = source.and_then(|source| source.unprivileged.as_ref());
        let there = seen.target.databases.get(name).map(|database| &database.facts);
        let real = settings
            .databases
            .get(name)
            .map_or(name, |database| database.name.as_str());
        let mut carried = match (&seen.target.server, source) {
            (Some(target), Some(source)) => Self::onto(target, source, there, real),
            _ => Self::default(),
        };
        // Whoever restores.
        for name in subscriptions.into_iter().flatten() {
            carried.leave_out(LeftOut::subscription(name));
        }
        carried
    }

    fn leave_out(&mut self, object: LeftOut) {
        if !self.left_out.contains(&object) {
            self.left_out.push(object);
        }
    }

    /// Decides for what a source holds and a target may make. `there` is the database `name` of the target, if it exists.
    pub fn onto(
        target: &ServerFacts,
        source: &Unprivileged,
        there: Option<&DatabaseFacts>,
        name: &str,
    ) -> Self {
        let mut carried = Self::default();
        if target.superuser {
            return carried;
        }
        let there = there.filter(|facts| !facts.has_content());
        let has = |extension: &String| there.is_some_and(|facts| facts.extensions.contains_key(extension));
        for (extension, dependents) in &source.extensions {
            if target.creatable_extensions.contains(extension) {
                continue;
            }
            if has(extension) {
                carried.template = Some(name.to_owned());
            } else if dependents.is_empty() {
                carried.left_out.push(LeftOut {
                    class: "extension".to_owned(),
                    name: extension.clone(),
                });
            } else {
                carried.missing.push((extension.clone(), dependents.clone()));
            }
        }
        if carried.template.is_some() {
            let extensions = there.map(|facts| facts.extensions.keys().cloned().collect());
            carried.extensions_there = extensions.unwrap_or_default();
        }
        carried.left_out.extend(source.left_out.iter().cloned());
        if !target.createrole {
            let roles = source.roles_with_settings.iter();
            carried.left_out.extend(roles.map(|role| LeftOut {
                class: ROLE_SETTINGS.to_owned(),
                name: role.clone(),
            }));
        }
        carried.needs_superuser.clone_from(&source.needs_superuser);
        if !target.bypass_rls {
            carried.hidden.clone_from(&source.forced_policies);
        }
        if !target.createrole {
            let roles = source.policy_roles.iter();
            carried.missing_roles = roles
                .filter(|role| !target.roles.contains_key(*role))
                .cloned()
                .collect();
        }
        carried
    }

    /// What people must know of it; `role` is the target's, which makes the copy.
    pub fn findings(&self, name: &str, role: &str) -> Vec<Finding> {
        let mut findings = Vec::new();
        for (extension, dependents) in &self.missing {
            findings.push(
                Finding::error(
                    format!("source.{name}.extension"),
                    format!(
                        "{name} uses extension {extension} ({}), and the target's role cannot create it",
                        dependents.join(", ")
                    ),
                )
                .wanted("the extension in the empty database on the target; it is copied from there")
                .hint(format!(
                    "CREATE EXTENSION {}; (as the target's administrator)",
                    quote::ident(extension)
                )),
            );
        }
        for object in &self.needs_superuser {
            findings.push(
                Finding::error(
                    format!("source.{name}.superuser"),
                    format!("{name} holds {object}, which only a superuser can create on the target"),
                )
                .wanted("the object dropped from the source, or a target where it may be created"),
            );
        }
        if !self.hidden.is_empty() {
            findings.push(
                Finding::error(
                    format!("source.{name}.forced-policies"),
                    format!(
                        "policies of {name} hide rows from the owner itself ({}): the copy could not be compared",
                        self.hidden.join(", ")
                    ),
                )
                .wanted("BYPASSRLS for the target's role while the migration runs, or tables without FORCE ROW LEVEL SECURITY")
                .hint(format!(
                    "ALTER ROLE {} BYPASSRLS; (as the target's superuser; NOBYPASSRLS afterwards)",
                    quote::ident(role)
                )),
            );
        }
        for role in &self.missing_roles {
            findings.push(
                Finding::error(
                    format!("source.{name}.policy-role"),
                    format!("a policy of {name} names role {role}, which the target does not have and our role may not create"),
                )
                .wanted("the role on the target")
                .hint(format!("CREATE ROLE {} NOLOGIN; (as the target's administrator)", quote::ident(role))),
            );
        }
        for object in &self.left_out {
            let why = match object.class.as_str() {
                "extension" => {
                    "the target does not let our role create it, and nothing in the database depends on it"
                }
                ROLE_SETTINGS => "our role may not change other roles on the target; the other team can",
                "setting" => "only a superuser can set it; the other team can, once the database is in place",
                "subscription" => "a copy must not receive changes beside the original",
                _ => "only a superuser can create it",
            };
            findings.push(Finding::warning(
                format!("source.{name}.left-out"),
                format!("{object} of {name} is left out: {why}"),
            ));
        }
        findings
    }
}
