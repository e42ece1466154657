//! The reader is the old server: in its user, data folder, command line and port; and the old files are left as they were.

use super::containers::{Temporary, V1, ask_container, prepared, rehearsal_image};
use super::support::{docker, folder};

#[test]
#[ignore = "needs Docker"]
fn a3_an_old_server_with_a_user_and_a_command_line_of_its_own_is_read_and_comes_back() {
    let mut rehearsal = prepared("same-server", V1, "running");
    let workspace = &mut rehearsal.workspace;
    let data = folder("same-server-data");
    let mount = format!("{}:/old", data.display());
    let image = rehearsal_image();
    // The folder belongs to a user who exists only as a number.
    let in_folder = |args: &[&str]| {
        docker(
            &[
                &["run", "--rm", "--user", "0:0", "-v", &mount, "--entrypoint"],
                args,
            ]
            .concat(),
        )
    };
    in_folder(&[
        "install",
        &image,
        "-d",
        "-o",
        "65534",
        "-g",
        "65534",
        "-m",
        "700",
        "/old/files",
    ])
    .ends(0);
    let owners = || {
        let each = [
            "-type",
            "f",
            "-name",
            "[0-9P]*",
            "-exec",
            "stat",
            "-c",
            "%u:%g %a %n",
            "{}",
            ";",
        ];
        let ran = in_folder(&[&["find", &image, "/old/files"][..], &each].concat());
        ran.ends(0);
        let mut lines: Vec<String> = ran.stdout.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
    let port = infra::ports::free(1).unwrap()[0].to_string();
    let password = format!("POSTGRES_PASSWORD={}", workspace.env("USER_DB_PASSWORD"));
    let publish = format!("127.0.0.1:{port}:5544");
    let arguments = [
        &[
            "-p",
            &publish,
            "-v",
            &mount,
            "-e",
            "PGDATA=/old/files",
            "--user",
            "65534:65534",
        ][..],
        &[
            "-e",
            "POSTGRES_USER=admin",
            "-e",
            "POSTGRES_DB=users",
            "-e",
            &password,
            &image,
        ],
        &["postgres", "-c", "max_prepared_transactions=7", "-p", "5544"],
    ];
    let old = Temporary::start("a3", &arguments.concat());
    let ask = |sql: &str| {
        let cmd = [
            "exec",
            "-e",
            "PGPORT=5544",
            &old.0,
            "psql",
            "-h",
            "127.0.0.1",
            "-U",
            "admin",
            "-d",
            "users",
            "-XAtc",
            sql,
        ];
        docker(&cmd)
    };
    let serves = infra::wait::until(
        &infra::Interrupt::default(),
        std::time::Duration::from_secs(120),
        || (ask("SELECT 1").code == 0).then_some(()),
    );
    assert!(serves.is_ok(), "{}", docker(&["logs", &old.0]).all());
    ask("CREATE TABLE kept AS SELECT i FROM generate_series(1, 500) AS i; CREATE TABLE users (id int); CHECKPOINT").ends(0);
    let mut containers = toml_edit::Array::new();
    containers.push(old.0.clone());
    workspace.set("databases.users.source.containers", containers);
    workspace.set_env("users", "PORT", &port);
    let before = owners();

    workspace.xtask(&["migrate", "--yes"]).ends(0);
    let target = workspace.text("target.container");
    assert_eq!(
        ask_container(&target, "admin", "users", "SELECT count(*) FROM kept"),
        "500"
    );
    let after = owners();
    let changed: Vec<&String> = before.iter().filter(|file| !after.contains(file)).collect();
    assert!(changed.is_empty(), "{changed:?}");
    assert!(
        after.iter().all(|file| file.starts_with("65534:65534 ")),
        "{after:?}"
    );

    workspace.xtask(&["rollback", "--yes"]).ends(22);
    assert_eq!(ask("SELECT count(*) FROM kept").stdout.trim(), "500");
    in_folder(&["rm", &image, "-rf", "/old/files"]).ends(0);
    std::fs::remove_dir_all(data).unwrap();
}
