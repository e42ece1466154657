//! One fault for each check of configuration.

use super::tree::{ENV, PLATFORM_COMPOSE, Tree};

pub(super) const EXAMPLE: &str = "mvp-vision-ai-labeler/backend/.env.example";
pub(super) const LABELER_COMPOSE: &str = "mvp-vision-ai-labeler/docker-compose.yml";
const VERSIONS: &str = "mvp-vision-ai-labeler/backend/alembic/versions";
const HEAD: &str = "mvp-vision-ai-labeler/backend/alembic/versions/e5b1946c3f25_project_milestones.py";
const SETTINGS: &str = "workspace/infra/migration.toml";

/// A fault and what must be said of it.
pub(super) struct Fault {
    /// The check that finds it.
    pub(super) check: &'static str,
    /// Makes it.
    pub(super) plant: fn(&Tree),
    /// Part of the finding.
    pub(super) found: &'static str,
    /// The file it is in.
    pub(super) file: &'static str,
    /// How the line begins; see [`Tree::line`].
    pub(super) line: &'static str,
    /// Whether it can be planted beside the others and makes exactly one error of its own.
    pub(super) together: bool,
}

macro_rules! fault {
    ($check:literal, $plant:expr, $found:literal, $file:expr, $line:literal, $together:literal) => {
        Fault {
            check: $check,
            plant: $plant,
            found: $found,
            file: $file,
            line: $line,
            together: $together,
        }
    };
}

pub(super) const FAULTS: &[Fault] = &[
    fault!(
        "settings.paths",
        |t| t.remove("mvp-vision-ai-labeler/backend/scripts/init_database.py"),
        "schema.script",
        SETTINGS,
        "script =",
        true
    ),
    fault!(
        "settings.target",
        |t| t.edit(
            SETTINGS,
            "container = \"platform-postgres\"",
            "container = \"postgres\""
        ),
        "target.container is postgres, but service postgres has platform-postgres",
        SETTINGS,
        "container = \"postgres\"",
        true
    ),
    fault!(
        "settings.redis",
        |t| t.edit(SETTINGS, "service = \"redis\"", "service = \"cache\""),
        "redis.service is cache",
        SETTINGS,
        "service = \"cache\"",
        true
    ),
    fault!(
        "settings.accept",
        |t| t.edit(
            SETTINGS,
            "accept = []",
            "accept = [{ id = \"env.names\", file = \"backend/.env\", reason = \"x\" }]"
        ),
        "nothing is found of what verify.accept names: env.names in backend/.env",
        SETTINGS,
        "accept = [{",
        false
    ),
    fault!(
        "env.readable",
        |t| t.edit(EXAMPLE, "REDIS_URL=redis", "REDIS_URL='redis"),
        "gives up on the file",
        EXAMPLE,
        "REDIS_URL",
        false
    ),
    fault!(
        "env.keys",
        |t| t.edit(EXAMPLE, "USER_DB_USER=admin\n", ""),
        "USER_DB_USER is not set",
        EXAMPLE,
        "",
        false
    ),
    fault!(
        "env.target",
        |t| t.edit(ENV, "USER_DB_PORT=5432", "USER_DB_PORT=5433"),
        "USER_DB_PORT is 5433",
        ENV,
        "USER_DB_PORT",
        true
    ),
    fault!(
        "env.names",
        |t| t.edit(EXAMPLE, "LABELER_DB_NAME=labeler", "LABELER_DB_NAME=platform"),
        "LABELER_DB_NAME is platform",
        EXAMPLE,
        "LABELER_DB_NAME",
        true
    ),
    fault!(
        "env.roles",
        |t| t.edit(ENV, "LABELER_DB_USER=admin", "LABELER_DB_USER=labeler_user"),
        "LABELER_DB_USER is labeler_user",
        ENV,
        "LABELER_DB_USER",
        false
    ),
    fault!(
        "env.address",
        |t| t.edit(
            ENV,
            "LABELER_DB_HOST",
            "DATABASE_URL=postgresql://admin:x@localhost:5432/old\r\nLABELER_DB_HOST"
        ),
        "DATABASE_URL names database old, where service postgres has platform",
        ENV,
        "DATABASE_URL",
        true
    ),
    fault!(
        "env.overridden",
        |t| {
            t.edit(
            LABELER_COMPOSE,
            "services:\n",
            "services:\n  api:\n    image: api:1\n    env_file: [./backend/.env]\n    environment: { LABELER_DB_PORT: \"5499\" }\n\n"
        )
        },
        "service api sets LABELER_DB_PORT over what .env says",
        LABELER_COMPOSE,
        "api:",
        false
    ),
    fault!(
        "env.readers-agree",
        |t| t.edit(
            ENV,
            "PLATFORM_DB_HOST=localhost",
            "PLATFORM_DB_HOST=localhost\t# here"
        ),
        "readers differ",
        ENV,
        "PLATFORM_DB_HOST",
        false
    ),
    fault!(
        "env.placeholders",
        |t| t.edit(
            ENV,
            "LABELER_DB_PASSWORD=a-password-of-nobody",
            "LABELER_DB_PASSWORD=<get-from-platform-team>"
        ),
        "LABELER_DB_PASSWORD still has the template's value",
        ENV,
        "LABELER_DB_PASSWORD",
        true
    ),
    fault!(
        "env.not-committed",
        |t| t.track("backend/.env"),
        "git tracks",
        ENV,
        "SECRET_KEY",
        true
    ),
    fault!(
        "env.example-secrets",
        |t| t.edit(EXAMPLE, "S3_ACCESS_KEY=change_me", "S3_ACCESS_KEY=AKIA-of-nobody"),
        "S3_ACCESS_KEY holds a value that is no placeholder",
        EXAMPLE,
        "S3_ACCESS_KEY",
        true
    ),
    fault!(
        "compose.readable",
        |t| t.edit(PLATFORM_COMPOSE, "  redis:\n", "  redis: [\n"),
        "Compose does not read this file: line ",
        PLATFORM_COMPOSE,
        "",
        false
    ),
    fault!(
        "compose.no-old-instances",
        |t| t.edit(
            LABELER_COMPOSE,
            "services:\n",
            "services:\n  postgres-user:\n    image: postgres:16-alpine\n\n"
        ),
        "service postgres-user is a PostgreSQL server",
        LABELER_COMPOSE,
        "postgres-user",
        true
    ),
    fault!(
        "compose.one-instance",
        |t| {
            t.edit(
                PLATFORM_COMPOSE,
                "volumes:\n  postgres_data:",
                "  second:\n    image: postgres:16\n    ports: [\"5499:5432\"]\n\nvolumes:\n  postgres_data:",
            );
        },
        "service second publishes a second PostgreSQL",
        PLATFORM_COMPOSE,
        "second",
        true
    ),
    fault!(
        "compose.databases",
        |t| t.edit(
            "mvp-vision-ai-platform/platform/infrastructure/init-scripts/01-create-databases.sql",
            "CREATE DATABASE labeler",
            "-- CREATE DATABASE labeler"
        ),
        "nothing creates database labeler",
        "mvp-vision-ai-platform/platform/infrastructure/init-scripts/01-create-databases.sql",
        "^",
        true
    ),
    fault!(
        "compose.health-check",
        |t| t.edit(
            PLATFORM_COMPOSE,
            "test: [\"CMD\", \"pg_isready\", \"-h\", \"127.0.0.1\", \"-U\", \"admin\", \"-d\", \"platform\"]",
            "disable: true"
        ),
        "service postgres has no health check",
        PLATFORM_COMPOSE,
        "postgres:",
        true
    ),
    fault!(
        "compose.pinned-image",
        |t| t.edit(PLATFORM_COMPOSE, "postgres:16-alpine", "postgres:latest"),
        "image postgres:latest",
        PLATFORM_COMPOSE,
        "postgres:",
        false
    ),
    fault!(
        "compose.ports",
        |t| t.edit(
            PLATFORM_COMPOSE,
            "PLATFORM_POSTGRES_PORT:-5432",
            "PLATFORM_POSTGRES_PORT:-6379"
        ),
        "service postgres publishes port 6379",
        PLATFORM_COMPOSE,
        "postgres:",
        false
    ),
    fault!(
        "compose.data-mount",
        |t| t.edit(PLATFORM_COMPOSE, "postgres:16-alpine", "postgres:18-alpine"),
        "image postgres:18-alpine does not start with a volume at /var/lib/postgresql/data",
        PLATFORM_COMPOSE,
        "postgres:",
        false
    ),
    fault!(
        "compose.open-port",
        |t| t.edit(
            PLATFORM_COMPOSE,
            "\"127.0.0.1:${PLATFORM_POSTGRES_PORT",
            "\"${PLATFORM_POSTGRES_PORT"
        ),
        "service postgres is open to other machines on port 5432, and its password is in the file",
        PLATFORM_COMPOSE,
        "postgres:",
        false
    ),
    fault!(
        "alembic.history",
        |t| t.edit(
            HEAD,
            "down_revision = \"d4085f2a7b14\"",
            "down_revision = \"0123456789ab\""
        ),
        "follows revision 0123456789ab, which no file defines",
        HEAD,
        "down_revision",
        true
    ),
    fault!(
        "alembic.one-head",
        |t| t.edit(
            HEAD,
            "down_revision = \"d4085f2a7b14\"",
            "down_revision = \"c93e1b6f8d03\""
        ),
        "the history has the heads d4085f2a7b14, e5b1946c3f25",
        HEAD,
        "down_revision",
        false
    ),
    fault!(
        "alembic.url-from-settings",
        |t| t.edit(
            "mvp-vision-ai-labeler/backend/alembic/env.py",
            "create_engine(settings.url(\"labeler_db\")",
            "create_engine(\"postgresql://admin:pass@localhost:5435/labeler\""
        ),
        "a database URL of its own",
        "mvp-vision-ai-labeler/backend/alembic/env.py",
        "engine = create_engine",
        true
    ),
];

/// Plants every fault that stands beside the others.
pub(super) fn plant(tree: &Tree) -> Vec<&'static Fault> {
    let together: Vec<&Fault> = FAULTS.iter().filter(|fault| fault.together).collect();
    for fault in &together {
        (fault.plant)(tree);
    }
    assert!(tree.path(VERSIONS).is_dir());
    together
}
