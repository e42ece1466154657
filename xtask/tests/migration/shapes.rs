//! `verify --scope config` on little repositories in the shapes that public FastAPI, Compose and Alembic projects have: clean ones
//! without a finding, faulty ones with the planted finding and no other. With both Compose programs.

use std::path::PathBuf;

use super::containers::{V1, V2, compose};
use super::support::{cache, folder, run, with_env, write, xtask};

/// A repository of one database, `app`, which is its own platform.
struct Shape {
    root: PathBuf,
    /// The Compose program, and where it is.
    env: super::support::Environment,
    has_alembic: bool,
}

const SETTINGS: &str = r#"schema-version = 1
[labeler]
repository = ["../app"]
backend = "."
env-files = [".env"]
env-example = ".env.example"
compose-files = []
[platform]
repository = ["../app"]
infrastructure = ["."]
[target]
service = "db"
container = "app-db"
image = "postgres:16"
user = "app"
[databases.platform]
name = "app"
[databases.users]
name = "app"
[databases.labeler]
name = "app"
[redis]
control = "none"
"#;

/// The service of a server that these settings describe.
const DB: &str = "  db:
    image: postgres:16
    container_name: app-db
    environment: { POSTGRES_USER: app, POSTGRES_PASSWORD: changethis, POSTGRES_DB: app }
    ports: [\"127.0.0.1:5432:5432\"]
    volumes: [\"data:/var/lib/postgresql/data\"]
    healthcheck: { test: [\"CMD\", \"pg_isready\", \"-U\", \"app\"] }
";
const VOLUMES: &str = "volumes: { data: {} }\n";
const URL: &str = "DATABASE_URL=postgresql://app:changethis@localhost:5432/app\nSECRET_KEY=changethis\n";

impl Shape {
    fn new(name: &str, program: &str, files: &[(&str, &str)]) -> Self {
        let root = folder(name);
        let has_alembic = files.iter().any(|(file, _)| file.ends_with("env.py"));
        let database = if has_alembic { "labeler" } else { "" };
        let settings = format!("{SETTINGS}[schema]\ndatabase = \"{database}\"\nscript = \"\"\n");
        write(&root.join("tool/infra/migration.toml"), settings);
        let shape = Self {
            root,
            env: compose(program),
            has_alembic,
        };
        for (file, text) in files {
            shape.write(file, text);
        }
        if !files.iter().any(|(file, _)| *file == ".env.example") {
            shape.write(".env.example", URL);
        }
        shape
    }

    fn write(&self, file: &str, text: &str) {
        write(&self.root.join("app").join(file), text);
    }

    /// The team's settings name this image too.
    fn has_image(&self, image: &str) {
        let settings = self.root.join("tool/infra/migration.toml");
        let text = std::fs::read_to_string(&settings).unwrap();
        write(&settings, text.replace("postgres:16", image));
    }

    /// Ids of the checks that found something, once for each finding.
    fn found(&self) -> Vec<String> {
        let mut cmd = with_env(xtask(&self.root.join("tool")), &self.env)
            .args(["verify", "--scope", "config", "--format", "json"]);
        if self.has_alembic {
            let environments = std::fs::read_dir(cache()).unwrap().flatten();
            let name = |path: &PathBuf| path.file_name().unwrap().to_string_lossy().starts_with("venv-");
            let venv = environments.map(|entry| entry.path()).find(name).unwrap();
            let value = format!("labeler.virtual-environments=[\"{}\"]", venv.display());
            cmd = cmd.arg("--set").arg(value);
        }
        let document = run(cmd).json();
        let checks = document["checks"].as_array().unwrap();
        let mut found = Vec::new();
        for check in checks {
            for finding in check["findings"].as_array().unwrap() {
                found.push(format!("{}: {}", check["id"].as_str().unwrap(), finding["found"]));
            }
        }
        found
    }

    /// Nothing is found, and the checks of Compose did look.
    fn is_clean(&self) {
        assert_eq!(self.found(), Vec::<String>::new());
    }

    /// One finding, of this check, and nothing else.
    fn has_only(&self, check: &str) {
        let found = self.found();
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].starts_with(&format!("{check}: ")), "{found:?}");
    }
}

fn file(services: &str) -> String {
    format!("services:\n{services}{VOLUMES}")
}

fn both(test: impl Fn(&str)) {
    for program in [V1, V2] {
        test(program);
    }
}

#[test]
#[ignore = "needs Docker"]
fn one_database_url_that_names_what_compose_makes_is_clean_and_another_role_is_found() {
    both(|program| {
        let api = "  api:\n    build: .\n    env_file: [.env]\n    environment: { DATABASE_URL: \"postgresql://app:changethis@db:5432/app\" }\n";
        let shape = Shape::new(
            "one-url",
            program,
            &[
                ("docker-compose.yml", &file(&format!("{DB}{api}"))),
                (".env", URL),
            ],
        );
        shape.is_clean();
        shape.write(".env", &URL.replace("//app:", "//other:"));
        shape.has_only("env.address");
        shape.write(".env", URL);
        shape.write(
            "docker-compose.yml",
            &file(&format!("{DB}{}", api.replace("5432/app", "5432/old"))),
        );
        shape.has_only("env.address");
    });
}

#[test]
#[ignore = "needs Docker"]
fn a_server_that_is_built_is_a_server_and_a_second_one_is_found() {
    both(|program| {
        let built = DB.replace("image: postgres:16", "build: ./db");
        let shape = Shape::new(
            "built",
            program,
            &[
                ("docker-compose.yml", &file(&built)),
                ("db/Dockerfile", "FROM postgres:16\n"),
                (".env", URL),
            ],
        );
        shape.is_clean();
        let second = "  more:\n    build: ./db\n    ports: [\"127.0.0.1:5499:5432\"]\n";
        shape.write("docker-compose.yml", &file(&format!("{built}{second}")));
        shape.has_only("compose.one-instance");
    });
}

#[test]
#[ignore = "needs Docker"]
fn what_an_include_brings_is_checked_and_a_program_that_knows_none_says_not_looked_at() {
    let shape = |program| {
        Shape::new(
            "include",
            program,
            &[
                (
                    "docker-compose.yml",
                    "include: [db.yml]\nservices:\n  api: { build: . }\n",
                ),
                ("db.yml", &file(DB)),
                (".env", URL),
            ],
        )
    };
    shape(V1).is_clean();
    let newer = shape(V2);
    newer.is_clean();
    newer.write("db.yml", &file(&DB.replace("postgres:16", "postgres:latest")));
    newer.has_image("postgres:latest");
    newer.has_only("compose.pinned-image");
}

#[test]
#[ignore = "needs Docker"]
fn alembic_in_pyproject_is_followed_and_two_heads_are_found() {
    both(|program| {
        let revision = |id: &str, down: &str| format!("revision = \"{id}\"\ndown_revision = {down}\n");
        let env = "from alembic import context\nfrom app.settings import settings\n\
                   context.configure(url=settings.url, version_table=\"app_migrations\")\n";
        let shape = Shape::new(
            "pyproject",
            program,
            &[
                ("docker-compose.yml", &file(DB)),
                (".env", URL),
                (
                    "pyproject.toml",
                    "[tool.alembic]\nscript_location = \"%(here)s/db/migrations\"\n",
                ),
                ("db/migrations/env.py", env),
                (
                    "db/migrations/versions/a.py",
                    &revision("2026_11_28_a_long_revision_of_the_team", "None"),
                ),
            ],
        );
        shape.is_clean();
        shape.write("db/migrations/versions/b.py", &revision("b", "None"));
        shape.has_only("alembic.one-head");
    });
}

#[test]
#[ignore = "needs Docker"]
fn client_jobs_are_no_servers_and_a_server_without_a_health_check_is_found() {
    both(|program| {
        let jobs = "  backup:\n    image: postgres:16\n    command: sh -c 'pg_dump -h db app > /backup/app.sql'\n  \
                    migrate:\n    build: .\n    command: alembic upgrade head\n    environment: { POSTGRES_DB: app, POSTGRES_SERVER: db }\n";
        let shape = Shape::new(
            "jobs",
            program,
            &[
                ("docker-compose.yml", &file(&format!("{DB}{jobs}"))),
                (".env", URL),
            ],
        );
        shape.is_clean();
        let bare = DB.replace(
            "    healthcheck: { test: [\"CMD\", \"pg_isready\", \"-U\", \"app\"] }\n",
            "",
        );
        shape.write("docker-compose.yml", &file(&format!("{bare}{jobs}")));
        shape.has_only("compose.health-check");
    });
}

#[test]
#[ignore = "needs Docker"]
fn a_server_of_a_profile_is_a_helper_of_tests_and_a_real_secret_in_the_template_is_found() {
    both(|program| {
        let test = "  test-db:\n    image: postgres:16\n    profiles: [test]\n    ports: [\"127.0.0.1:5499:5432\"]\n";
        let shape = Shape::new(
            "profiles",
            program,
            &[
                ("docker-compose.yml", &file(&format!("{DB}{test}"))),
                (".env", URL),
            ],
        );
        shape.is_clean();
        shape.write(
            ".env.example",
            &URL.replace("SECRET_KEY=changethis", "SECRET_KEY=9f8e7d6c5b4a"),
        );
        shape.has_only("env.example-secrets");
    });
}

#[test]
#[ignore = "needs Docker"]
fn what_only_another_machine_knows_is_not_looked_at_and_image_18_at_the_old_folder_is_found() {
    both(|program| {
        let open = DB.replace(
            "POSTGRES_PASSWORD: changethis",
            "POSTGRES_PASSWORD: \"${DB_PASSWORD_OF_PROD:?set it}\"",
        );
        let shape = Shape::new(
            "unknown",
            program,
            &[("docker-compose.yml", &file(&open)), (".env", URL)],
        );
        shape.is_clean();
        shape.write(
            "docker-compose.yml",
            &file(&DB.replace("postgres:16", "postgres:18")),
        );
        shape.has_image("postgres:18");
        shape.has_only("compose.data-mount");
    });
}
