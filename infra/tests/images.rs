//! The stand-in images on a real engine. Needs Docker and Debian's or Ubuntu's packages, so it runs on request:
//! `cargo test -p infra --test images -- --ignored`.
#![cfg(target_os = "linux")]
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test may panic, and --nocapture shows the progress"
)]

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use infra::images::{self, Origin};
use infra::{Cmd, Runner, docker, wait};

/// Containers, volumes and images of one test, removed at its end.
struct Scratch {
    runner: Runner,
    /// Part of every name: no two tests, and no two runs, meet.
    id: String,
}

impl Scratch {
    fn new(test: &str) -> Self {
        Self {
            runner: Runner::default(),
            id: format!("xtask-test-{}-{test}", std::process::id()),
        }
    }

    fn name(&self, part: &str) -> String {
        format!("{}-{part}", self.id)
    }

    /// An image name that no registry serves (RFC 6761 keeps `.test` free).
    fn image(&self, name_and_tag: &str) -> String {
        format!("registry.test/{}/{name_and_tag}", self.id)
    }

    fn docker(&self, args: &[&str]) -> infra::Output {
        self.runner
            .output(&Cmd::new(docker::PROGRAM, "test").args(args))
            .unwrap()
    }

    fn ok(&self, args: &[&str]) -> String {
        let output = self.docker(args);
        assert!(output.success(), "{args:?}: {}", output.stderr);
        output.stdout_text().trim().to_owned()
    }

    /// Waits for the real server: a query over TCP.
    fn ready(&self, container: &str) {
        let ask = [
            "exec",
            container,
            "psql",
            "-h",
            "127.0.0.1",
            "-U",
            "admin",
            "-d",
            "platform",
            "-c",
            "select 1",
        ];
        let answered = wait::until(self.runner.interrupt(), Duration::from_secs(120), || {
            self.docker(&ask).success().then_some(())
        });
        assert!(
            answered.is_ok(),
            "no answer; log:\n{}",
            docker::logs(&self.runner, container, 50)
        );
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let filter = format!("name={}", self.id);
        let sweep = |list: &[&str], remove: &[&str]| {
            for name in self.docker(list).stdout_text().split_whitespace() {
                self.docker(&[remove, &[name]].concat());
            }
        };
        sweep(&["ps", "-aq", "--filter", &filter], &["rm", "-f", "-v"]);
        sweep(&["volume", "ls", "-q", "--filter", &filter], &["volume", "rm"]);
        let reference = format!("reference=registry.test/{}/*", self.id);
        let list = [
            "image",
            "ls",
            "--filter",
            &reference,
            "--format",
            "{{.Repository}}:{{.Tag}}",
        ];
        sweep(&list, &["image", "rm"]);
    }
}

/// Shared by all runs: what was fetched once is not fetched again.
fn cache() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("images")
}

fn ensure(scratch: &Scratch, image: &str) -> images::Ensured {
    images::ensure(&scratch.runner, image, &cache(), &mut |line| println!("{line}")).unwrap()
}

#[test]
#[ignore = "needs Docker"]
fn postgres_stand_in_keeps_the_published_images_contract() {
    let scratch = Scratch::new("pg");
    let image = &scratch.image("postgres:16-alpine");
    let built = ensure(&scratch, image);
    assert_eq!((built.origin, built.stand_in), (Origin::Built, true));
    let again = ensure(&scratch, image);
    assert_eq!((again.origin, again.stand_in), (Origin::Local, true));

    let refused = scratch.docker(&["run", "--rm", image]);
    assert!(
        !refused.success() && refused.stderr.contains("POSTGRES_PASSWORD"),
        "{}",
        refused.stderr
    );

    // FACTS 2.8: during the first run pg_isready answers on the socket while no client could connect over TCP.
    let shared = tempfile::tempdir().unwrap();
    let dir = shared.path();
    let init = dir.join("init");
    std::fs::create_dir(&init).unwrap();
    let script = "set -e\npg_isready -U admin\n! pg_isready -h 127.0.0.1\npsql -U admin -d platform \
                  -c 'create table first_run as select generate_series(1, 1000) as n'\n";
    infra::files::write_private(&init.join("10-look.sh"), script.as_bytes()).unwrap();
    infra::files::write_private(&init.join("20-more.sql"), b"create database labeler;\n").unwrap();
    for path in [init.clone(), init.join("10-look.sh"), init.join("20-more.sql")] {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    let (old, volume) = (&scratch.name("old"), &scratch.name("data"));
    let data = format!("{volume}:/var/lib/postgresql/data");
    let scripts = format!("{}:/docker-entrypoint-initdb.d:ro", init.display());
    scratch.ok(&[
        "run",
        "-d",
        "--name",
        old,
        "-v",
        &data,
        "-v",
        &scripts,
        "-e",
        "POSTGRES_USER=admin",
        "-e",
        "POSTGRES_PASSWORD=dev pass",
        "-e",
        "POSTGRES_DB=platform",
        image,
        "-c",
        "max_connections=55",
    ]);
    scratch.ready(old);
    let ask = |container: &str, sql: &str| {
        scratch.ok(&[
            "exec",
            container,
            "psql",
            "-h",
            "127.0.0.1",
            "-U",
            "admin",
            "-d",
            "platform",
            "-Atc",
            sql,
        ])
    };
    assert_eq!(ask(old, "show max_connections"), "55");
    assert_eq!(ask(old, "select count(*) from first_run"), "1000");
    let databases =
        "select string_agg(datname, ',' order by datname) from pg_database where not datistemplate";
    assert_eq!(ask(old, databases), "labeler,platform,postgres");

    // Everybody but loopback needs the password.
    let address = docker::container(&scratch.runner, old)
        .unwrap()
        .unwrap()
        .address
        .unwrap();
    let login = |password: &str| {
        let password = format!("PGPASSWORD={password}");
        let client = [
            "run", "--rm", "-e", &password, image, "psql", "-h", &address, "-U", "admin", "-d", "labeler",
        ];
        scratch.docker(&[&client[..], &["-Atc", "select 1"]].concat())
    };
    assert!(login("dev pass").success());
    assert!(login("wrong").stderr.contains("password authentication failed"));

    // On a volume that holds a cluster, POSTGRES_* mean nothing; the isolated reader of FACTS 5 starts on it.
    scratch.ok(&["stop", old]);
    let reader = &scratch.name("reader");
    scratch.ok(&[
        "run",
        "-d",
        "--name",
        reader,
        "--network",
        "none",
        "--volumes-from",
        old,
        "-e",
        "POSTGRES_USER=other",
        image,
        "postgres",
        "-c",
        "default_transaction_read_only=on",
    ]);
    scratch.ready(reader);
    assert_eq!(
        ask(
            reader,
            "select string_agg(rolname, ',') from pg_roles where rolsuper"
        ),
        "admin"
    );

    // A client with the person's ids writes an archive into a folder of theirs.
    let archives = dir.join("archives");
    std::fs::create_dir(&archives).unwrap();
    let mount = format!("{}:/archives", archives.display());
    let network = format!("container:{reader}");
    let user = docker::user_args();
    let mut dump = vec!["run", "--rm", "--network", &network, "-v", &mount];
    dump.extend(user.iter().map(String::as_str));
    dump.extend([
        image,
        "pg_dump",
        "-h",
        "127.0.0.1",
        "-U",
        "admin",
        "-d",
        "platform",
        "-Fd",
        "-j2",
        "-f",
    ]);
    dump.push("/archives/platform");
    scratch.ok(&dump);
    assert!(archives.join("platform/toc.dat").exists());
}

#[test]
#[ignore = "needs Docker"]
fn redis_stand_in_answers_other_containers() {
    let scratch = Scratch::new("redis");
    let image = &scratch.image("redis:7-alpine");
    ensure(&scratch, image);
    let server = &scratch.name("server");
    scratch.ok(&[
        "run",
        "-d",
        "--name",
        server,
        image,
        "redis-server",
        "--appendonly",
        "yes",
    ]);
    let pong = wait::until(scratch.runner.interrupt(), Duration::from_secs(60), || {
        let answer = scratch
            .docker(&["exec", server, "redis-cli", "ping"])
            .stdout_text();
        (answer.trim() == "PONG").then_some(())
    });
    assert!(pong.is_ok());
    let address = docker::container(&scratch.runner, server)
        .unwrap()
        .unwrap()
        .address
        .unwrap();
    assert_eq!(
        scratch.ok(&["run", "--rm", image, "redis-cli", "-h", &address, "set", "a", "b"]),
        "OK"
    );
    assert_eq!(
        scratch.ok(&["exec", server, "stat", "-c", "%U", "/proc/1"]),
        "redis"
    );
}

#[test]
#[ignore = "needs Docker"]
fn compose_v2_works_from_a_folder_of_its_own() {
    let runner = Runner::default();
    let config = images::ensure_compose_v2(&runner, &cache(), &mut |line| println!("{line}")).unwrap();
    let mut cmd =
        Cmd::new(docker::PROGRAM, "ask Compose for its version").args(["compose", "version", "--short"]);
    if let Some(config) = config {
        cmd = cmd.env("DOCKER_CONFIG", config);
    }
    let version = runner.run(&cmd).unwrap().stdout_text();
    let major = version
        .trim()
        .trim_start_matches('v')
        .split('.')
        .next()
        .and_then(|n| n.parse::<u32>().ok());
    assert!(major.is_some_and(|major| major >= 2), "{version}");
}
