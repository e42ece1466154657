//! A login that `.env` names and the target refuses.

use std::collections::BTreeMap;

use infra::postgres::facts::ServerFacts;
use infra::postgres::quote::ident;

use crate::config::{Control, SecretName};
use crate::doctor::act::{Act, Back, SetPassword, Sql};
use crate::doctor::{Case, Diagnosis, Examined, Fix, Problem, Proof};
use crate::observe::{LoginSeen, MappingSeen};
use crate::plan::action::{EnvChange, EnvValue};

const NO_ROLE: &[&str] = &[
    "role \"*\" does not exist",
    "role \"*\" is not permitted to log in",
];
const PASSWORD: &[&str] = &[
    "password authentication failed for user \"*\"",
    "no password supplied",
    "client password must be a string",
];

pub(in crate::doctor) const ROLE_MISSING: Problem = Problem {
    id: "role-missing",
    title: "\"Role 'labeler_user' does not exist\"",
    meaning: "`.env` logs in as a role that the target does not have",
    symptoms: NO_ROLE,
    causes: "Only the ports of `.env` were changed: the old instance's role was that instance's own. A server that asks for passwords says \
             `password authentication failed` for a role that does not exist, so the message alone does not tell; the doctor asks the \
             target for its roles. A plain dump that names the role prints the same, once for each object, and psql still exits 0.",
    repair: "Where the database belongs to the target's own role, `.env` gets that role and its password, as a migration writes them. \
             Where it belongs to another, the missing role is made, with the password that `.env` has.",
    proof: &[Proof {
        created: "`LABELER_DB_USER=labeler_user` left in `.env`, the database belongs to admin",
        recognised: "the role is not among the target's, though the server says `password authentication failed`",
        repaired: "user and password in `.env`, no other byte",
        test: "with_only_the_ports_changed_the_role_of_env_is_missing_and_env_follows_the_owner",
    }],
    examine: role_missing,
};

pub(in crate::doctor) const WRONG_PASSWORD: Problem = Problem {
    id: "wrong-password",
    title: "\"Password authentication failed\"",
    meaning: "the password of `.env` is not the role's",
    symptoms: PASSWORD,
    causes: "The template's value was left, somebody changed one side, or the container's volume is older than its `POSTGRES_PASSWORD` \
             (which is read on an empty volume only). The role is there: the doctor has looked.",
    repair: "The target's own role: its password is known from the settings and goes into `.env`. Another role: it is given the password that \
             `.env` has; going back gives it the one it had.",
    proof: &[
        Proof {
            created: "another password in `.env`, role admin",
            recognised: "the login's own error",
            repaired: "the password in `.env`; going back brings the file's bytes back",
            test: "a_wrong_password_of_the_targets_own_role_is_corrected_in_env",
        },
        Proof {
            created: "another password in `.env`, role labeler_app",
            recognised: "the login's own error",
            repaired: "the role's password; going back brings the old one back",
            test: "a_wrong_password_of_another_role_is_set_on_the_server_and_going_back_brings_the_old_one",
        },
    ],
    examine: wrong_password,
};

/// The logins that `.env` makes on the target.
fn logins<'a>(case: &Case<'a>) -> impl Iterator<Item = (&'a str, &'a LoginSeen)> {
    let all = case.seen.logins.iter();
    all.filter(|(name, _)| case.in_charge(name))
        .map(|(name, login)| (name.as_str(), login))
        .collect::<Vec<_>>()
        .into_iter()
}

fn role_missing(case: &Case<'_>) -> Examined {
    let Some(server) = case.server()? else {
        return Ok(Vec::new());
    };
    let missing = logins(case).filter(|(_, login)| {
        // A role that cannot log in is as good as none to the application.
        server.roles.get(&login.role).is_none_or(|role| !role.login)
    });
    let one = |(name, login): (&str, &LoginSeen)| {
        let roles: Vec<&str> = server.roles.keys().map(String::as_str).collect();
        let found = if server.roles.contains_key(&login.role) {
            format!("role {} may not log in", login.role)
        } else {
            format!("role {} is not on the target", login.role)
        };
        Diagnosis::error(name, found)
            .said(login.works.as_ref().err().map(String::as_str))
            .evidence([format!("roles there: {}", roles.join(", "))])
            .fix(give_role(case, server, name, login))
    };
    Ok(missing.map(one).collect())
}

/// `.env` logs in as the target's own role, which owns what is there.
pub(super) fn log_in_as_target(case: &Case<'_>, name: &str) -> Option<Fix> {
    let target = &case.settings().target;
    let keys = &case.settings().databases.get(name)?.env;
    let changes = [
        EnvChange {
            key: keys.user.clone(),
            value: EnvValue::Plain(target.user.clone()),
        },
        password_of_target(&keys.password),
    ];
    let title = format!("log in to {name} as {}, who owns it", target.user);
    Some(Fix::new(title, vec![case.set_env(&changes)?]))
}

fn give_role(case: &Case<'_>, server: &ServerFacts, name: &str, login: &LoginSeen) -> Option<Fix> {
    let target = &case.settings().target;
    let owner = server
        .databases
        .get(&login.database)
        .map(|entry| entry.owner.as_str());
    if owner.is_none_or(|owner| owner == target.user) {
        return log_in_as_target(case, name);
    }
    let exists = server.roles.contains_key(&login.role);
    let role = ident(&login.role);
    if exists {
        return Some(sql_fix(
            case,
            format!("let {} log in", login.role),
            vec![format!("ALTER ROLE {role} LOGIN;")],
            vec![format!("ALTER ROLE {role} NOLOGIN;")],
            BTreeMap::new(),
        ));
    }
    if !has_password(case, name) || !server.superuser {
        return None;
    }
    let secrets = BTreeMap::from([("password".to_owned(), SecretName::Source(name.to_owned()))]);
    Some(sql_fix(
        case,
        format!("make role {} with the password of .env", login.role),
        vec![
            "SET log_statement = 'none';".to_owned(),
            "SET log_min_error_statement = 'panic';".to_owned(),
            format!("CREATE ROLE {role} LOGIN PASSWORD :'password';"),
        ],
        vec![format!("DROP ROLE {role};")],
        secrets,
    ))
}

fn sql_fix(
    case: &Case<'_>,
    title: String,
    statements: Vec<String>,
    back: Vec<String>,
    secrets: BTreeMap<String, SecretName>,
) -> Fix {
    let sql = Sql {
        what: title.clone(),
        instance: case.target(),
        database: case.maintenance().to_owned(),
        statements,
        back: Back::Statements(back),
        secrets,
    };
    Fix::new(title, vec![Act::Sql(sql)])
}

/// Whether `.env` has a password for this database that could be meant.
fn has_password(case: &Case<'_>, name: &str) -> bool {
    let mapping = mapping(case, name);
    mapping.is_some_and(|mapping| {
        let password = &mapping.password;
        !password.lines.is_empty() && !password.placeholder && !password.empty
    })
}

fn mapping<'a>(case: &Case<'a>, name: &str) -> Option<&'a MappingSeen> {
    let files = case.seen.seen.env_files.iter();
    files.filter_map(|file| file.mappings.get(name)).next()
}

fn password_of_target(key: &str) -> EnvChange {
    EnvChange {
        key: key.to_owned(),
        value: EnvValue::Secret(SecretName::Target),
    }
}

fn wrong_password(case: &Case<'_>) -> Examined {
    let target = &case.settings().target;
    let administrator = case.seen.seen.target.problem.as_deref();
    if let Some(said) = administrator.and_then(|text| crate::doctor::symptom::any(PASSWORD, text)) {
        let found = format!("the password of {} in the settings is wrong", target.user);
        return Ok(vec![
            Diagnosis::error(&target.user, found)
                .said(Some(said))
                .wanted("the password of the target's role, in XTASK_TARGET_PASSWORD or .xtask/secrets.env")
                .hint("cargo xtask status --settings"),
        ]);
    }
    let Some(server) = case.server()? else {
        return Ok(Vec::new());
    };
    let refused = logins(case).filter_map(|(name, login)| {
        let said = login.works.as_ref().err()?;
        let line = crate::doctor::symptom::any(PASSWORD, said)?;
        server.roles.get(&login.role).filter(|role| role.login)?;
        Some((name, login, line))
    });
    let one = |(name, login, line): (&str, &LoginSeen, &str)| {
        let keys = case.settings().databases.get(name).map(|database| &database.env);
        let found = format!("the password that .env has for {} is not the role's", login.role);
        let fix = if login.role == target.user {
            let change = keys.map(|keys| [password_of_target(&keys.password)]);
            change.and_then(|changes| {
                let title = format!("put the password of {} into .env, for {name}", login.role);
                Some(Fix::new(title, vec![case.set_env(&changes)?]))
            })
        } else {
            set_password(case, server, name, login)
        };
        let diagnosis = Diagnosis::error(name, found).said(Some(line));
        let diagnosis = match (&fix, keys) {
            (None, Some(keys)) => diagnosis.hint(format!(
                "cargo xtask env set {} {}=-",
                infra::command::shell_path(&login.file),
                keys.password
            )),
            _ => diagnosis,
        };
        diagnosis.fix(fix)
    };
    Ok(refused.map(one).collect())
}

fn set_password(case: &Case<'_>, server: &ServerFacts, name: &str, login: &LoginSeen) -> Option<Fix> {
    // A superuser alone may read what must be kept for the way back. Somebody else's server is not ours to change.
    let ours = server.superuser && case.settings().target.control != Control::External;
    if !ours || !has_password(case, name) {
        return None;
    }
    let act = SetPassword {
        instance: case.target(),
        maintenance: case.maintenance().to_owned(),
        role: login.role.clone(),
        password: SecretName::Source(name.to_owned()),
    };
    let title = format!("give role {} the password of .env", login.role);
    Some(
        Fix::new(title, vec![Act::SetPassword(act)])
            .disturbs(format!("whoever logs in as {} with the old password", login.role)),
    )
}
