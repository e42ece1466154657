//! The Compose files of `infra/compose/` on a real engine, with every Compose command there is. They need Docker:
//! `cargo test -p infra --test compose -- --ignored`.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test may panic, and --nocapture shows the progress"
)]

#[path = "support/left_out.rs"]
mod left_out;

use std::path::{Path, PathBuf};
use std::time::Duration;

use infra::compose::{Program, Project};
use infra::{Cmd, Runner, docker, images, ports, wait};

const POSTGRES: &str = "postgres:16-alpine";
const REDIS: &str = "redis:7-alpine";
const OLD_VOLUMES: [&str; 3] = ["PLATFORM", "USER", "LABELER"];

/// A Compose project with names and ports of its own, removed at its end.
struct Scratch {
    runner: Runner,
    project: Project,
    prefix: String,
}

impl Scratch {
    fn new(file: &str, (program, config): &(Program, Option<PathBuf>)) -> Self {
        let kind = program.name().replace(' ', "-");
        let id = format!("xtask-test-{}-{file}-{kind}", std::process::id());
        let mut env = vec![("REHEARSAL_PREFIX".to_owned(), format!("{id}-"))];
        env.extend(
            config
                .iter()
                .map(|dir| ("DOCKER_CONFIG".to_owned(), dir.display().to_string())),
        );
        let file = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("compose")
            .join(format!("{file}.yaml"));
        Self {
            runner: Runner::default(),
            project: Project {
                program: *program,
                file,
                laid_over: None,
                name: Some(id.clone()),
                env,
            },
            prefix: format!("{id}-"),
        }
    }

    fn set(&mut self, name: &str, value: impl ToString) {
        self.project.env.push((name.to_owned(), value.to_string()));
    }

    fn name(&self, container: &str) -> String {
        format!("{}{container}", self.prefix)
    }

    fn docker(&self, args: &[&str]) -> infra::Output {
        self.runner
            .output(&Cmd::new(docker::PROGRAM, "test").args(args))
            .unwrap()
    }

    fn psql(&self, container: &str, user: &str, database: &str, sql: &str) -> infra::Output {
        self.docker(&[
            "exec",
            container,
            "psql",
            "-h",
            "127.0.0.1",
            "-U",
            user,
            "-d",
            database,
            "-Atc",
            sql,
        ])
    }

    fn wait_healthy(&self, container: &str) {
        let healthy = || {
            let seen = docker::container(&self.runner, container).unwrap()?;
            (seen.health.as_deref() == Some("healthy")).then_some(())
        };
        let waited = wait::until(self.runner.interrupt(), Duration::from_secs(120), healthy);
        assert!(
            waited.is_ok(),
            "{container}: {}",
            docker::logs(&self.runner, container, 30)
        );
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = self
            .runner
            .output(&self.project.cmd("remove the test's project", ["down", "-v"]));
        let volumes = self.docker(&["volume", "ls", "-q", "--filter", &format!("name={}", self.prefix)]);
        for volume in volumes.stdout_text().split_whitespace() {
            self.docker(&["volume", "rm", volume]);
        }
    }
}

/// Both commands, where the machine has or can get them.
fn programs() -> Vec<(Program, Option<PathBuf>)> {
    let runner = Runner::default();
    let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("images");
    for image in [POSTGRES, REDIS] {
        images::ensure(&runner, image, &cache, &mut |line| println!("{line}")).unwrap();
    }
    let mut found = Vec::new();
    match images::ensure_compose_v2(&runner, &cache, &mut |line| println!("{line}")) {
        Ok(config) => found.push((Program::Plugin, config)),
        Err(error) => left_out::left_out(&format!("Compose files with `docker compose`: {error}")),
    }
    if Program::Standalone.version(&runner).is_some() {
        found.push((Program::Standalone, None));
    } else {
        left_out::left_out("Compose files with `docker-compose`: it is not on this machine");
    }
    assert!(!found.is_empty(), "there is no Compose");
    found
}

#[test]
#[ignore = "needs Docker"]
fn the_unified_instance_holds_three_databases_of_its_role_and_redis_answers() {
    for program in programs() {
        let mut scratch = Scratch::new("unified", &program);
        let free = ports::free(2).unwrap();
        scratch.set("PLATFORM_POSTGRES_PORT", free[0]);
        scratch.set("PLATFORM_REDIS_PORT", free[1]);
        scratch.runner.run(&scratch.project.up()).unwrap();
        let (postgres, redis) = (scratch.name("platform-postgres"), scratch.name("platform-redis"));
        scratch.wait_healthy(&postgres);
        scratch.wait_healthy(&redis);
        let ask = "select datname, pg_get_userbyid(datdba) from pg_database \
                   where datname in ('platform', 'users', 'labeler') order by 1";
        let found = scratch.psql(&postgres, "admin", "platform", ask);
        assert_eq!(
            found.stdout_text(),
            "labeler|admin\nplatform|admin\nusers|admin\n",
            "{}",
            found.stderr
        );
        assert_eq!(
            scratch
                .docker(&["exec", &redis, "redis-cli", "ping"])
                .stdout_text()
                .trim(),
            "PONG"
        );
        assert!(ports::is_open("127.0.0.1", free[0], Duration::from_secs(5)));

        // Made anew on the same volume, the data is still there and the first run does not happen again.
        scratch.psql(
            &postgres,
            "admin",
            "labeler",
            "create table kept as select 42 as n",
        );
        scratch
            .runner
            .run(&scratch.project.cmd("remove the containers", ["down"]))
            .unwrap();
        scratch
            .runner
            .run(&scratch.project.up_only(["postgres"]))
            .unwrap();
        scratch.wait_healthy(&postgres);
        assert_eq!(
            scratch
                .psql(&postgres, "admin", "labeler", "select n from kept")
                .stdout_text(),
            "42\n"
        );
    }
}

#[test]
#[ignore = "needs Docker"]
fn the_old_three_come_back_on_their_volumes_and_never_on_others() {
    for program in programs() {
        let mut scratch = Scratch::new("legacy", &program);
        let free = ports::free(3).unwrap();
        for (name, port) in OLD_VOLUMES.iter().zip(free) {
            scratch.set(&format!("LABELER_POSTGRES_{name}_PORT"), port);
            let volume = scratch.name(&format!("{}_data", name.to_lowercase()));
            scratch.set(&format!("LABELER_POSTGRES_{name}_VOLUME"), volume);
        }
        // A volume that is not there is an error, not an empty instance.
        let refused = scratch.runner.output(&scratch.project.up()).unwrap();
        assert!(
            !refused.success() && refused.stderr.contains("external"),
            "{}",
            refused.stderr
        );

        // Nor does an empty volume become an instance.
        let labeler = scratch.name("labeler-postgres-labeler");
        let volume = scratch.name("labeler_data");
        for name in OLD_VOLUMES {
            let volume = scratch.name(&format!("{}_data", name.to_lowercase()));
            assert!(scratch.docker(&["volume", "create", &volume]).success());
        }
        scratch
            .runner
            .run(&scratch.project.up_only(["postgres-labeler"]))
            .unwrap();
        let complains = || {
            docker::logs(&scratch.runner, &labeler, 30)
                .contains("POSTGRES_PASSWORD")
                .then_some(())
        };
        wait::until(scratch.runner.interrupt(), Duration::from_secs(60), complains).unwrap();
        scratch
            .runner
            .run(&scratch.project.cmd("remove the containers", ["down"]))
            .unwrap();

        // A volume that an old labeler left behind: filled by an instance that is gone.
        let mount = format!("{volume}:/var/lib/postgresql/data");
        let old = scratch.name("before");
        let run = [
            "run",
            "-d",
            "--name",
            &old,
            "-v",
            &mount,
            "-e",
            "POSTGRES_USER=labeler_user",
        ];
        let run = [
            &run[..],
            &["-e", "POSTGRES_PASSWORD=x", "-e", "POSTGRES_DB=labeler", POSTGRES],
        ]
        .concat();
        assert!(scratch.docker(&run).success());
        let made = || {
            scratch.psql(
                &old,
                "labeler_user",
                "labeler",
                "create table rows as select 7 as n",
            )
        };
        wait::until(scratch.runner.interrupt(), Duration::from_secs(120), || {
            made().success().then_some(())
        })
        .unwrap();
        assert!(scratch.docker(&["stop", &old]).success() && scratch.docker(&["rm", &old]).success());

        scratch
            .runner
            .run(&scratch.project.up_only(["postgres-labeler"]))
            .unwrap();
        scratch.wait_healthy(&labeler);
        assert_eq!(
            scratch
                .psql(&labeler, "labeler_user", "labeler", "select n from rows")
                .stdout_text(),
            "7\n"
        );

        // `down -v` takes nothing away.
        scratch
            .runner
            .run(&scratch.project.cmd("remove everything", ["down", "-v"]))
            .unwrap();
        assert!(scratch.docker(&["volume", "inspect", &volume]).success());
    }
}
