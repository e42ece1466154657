//! Old instances whose data a stop would destroy, or that are not what they seem: each is refused before anything stops, and
//! its rows are still there.

use std::sync::Arc;

use super::containers::{Temporary, V1, ask_container, prepared, rehearsal_image, status};
use super::support::{Copy, Ran, Rehearsal, Shared, Workspace, copy_tree, docker};

static PREPARED: Shared<Rehearsal> = Shared::new();

/// The data folder of the image.
const DATA: &str = "/var/lib/postgresql/data";

/// A volume that goes with its test.
struct TemporaryVolume(String);

impl TemporaryVolume {
    #[track_caller]
    fn new(name: &str) -> Self {
        let name = format!("xtask-test-{name}-{}", std::process::id());
        docker(&["volume", "create", &name]).ends(0);
        Self(name)
    }
}

impl Drop for TemporaryVolume {
    fn drop(&mut self) {
        docker(&["volume", "rm", "-f", &self.0]);
    }
}

/// An old instance of `labeler` beside those of the rehearsal, and a workspace whose `.env` names it.
struct Old {
    container: Temporary,
    workspace: Copy,
    _shared: Arc<Rehearsal>,
}

impl Old {
    /// Starts it with these arguments of `docker run` and this command, and puts 500 rows into it.
    #[track_caller]
    fn start(name: &str, args: &[&str], command: &[&str]) -> Self {
        let old = Self::without_rows(name, "127.0.0.1", args, command);
        let rows = "CREATE TABLE kept AS SELECT i FROM generate_series(1, 500) AS i";
        ask_container(&old.container.0, "labeler_user", "labeler", rows);
        old
    }

    #[track_caller]
    fn without_rows(name: &str, address: &str, args: &[&str], command: &[&str]) -> Self {
        let shared = PREPARED.get(|| prepared("kept-data", V1, "running"));
        let workspace = shared.copy();
        let port = infra::ports::free(1).unwrap()[0].to_string();
        let password = format!("POSTGRES_PASSWORD={}", workspace.env("LABELER_DB_PASSWORD"));
        let publish = format!("{address}:{port}:5432");
        let image = rehearsal_image();
        let before = [
            "-p",
            &publish,
            "-e",
            "POSTGRES_USER=labeler_user",
            "-e",
            "POSTGRES_DB=labeler",
            "-e",
            &password,
        ];
        let container = Temporary::start(name, &[&before, args, &[&image], command].concat());
        workspace.set_env("labeler", "HOST", "localhost");
        workspace.set_env("labeler", "PORT", &port);
        Self {
            container,
            workspace,
            _shared: shared,
        }
    }

    /// `migrate` of this instance alone.
    #[track_caller]
    fn migrate(&self, args: &[&str]) -> Ran {
        let containers = format!("databases.labeler.source.containers=[\"{}\"]", self.container.0);
        let all = [
            &["migrate", "--only", "labeler,platform", "--set", &containers],
            args,
        ]
        .concat();
        self.workspace.xtask(&all)
    }

    /// It runs, and every row is there.
    #[track_caller]
    fn holds_its_rows(&self) {
        assert_eq!(status(&self.container.0).as_deref(), Some("running"));
        let count = ask_container(
            &self.container.0,
            "labeler_user",
            "labeler",
            "SELECT count(*) FROM kept",
        );
        assert_eq!(count, "500");
    }
}

#[test]
#[ignore = "needs Docker"]
fn a1_a_container_that_goes_with_its_volume_when_it_stops_is_refused() {
    let old = Old::start("a1", &["--rm"], &[]);
    let ran = old.migrate(&["--yes"]);
    ran.ends(20)
        .says("deletes the data of labeler")
        .says("cargo xtask backup create");
    old.holds_its_rows();
}

#[test]
#[ignore = "needs Docker"]
fn what_a_stop_would_destroy_is_saved_by_the_command_that_the_refusal_names() {
    let old = Old::start("a1-saved", &["--rm"], &[]);
    let containers = format!("databases.labeler.source.containers=[\"{}\"]", old.container.0);
    let saved = old
        .workspace
        .xtask(&["backup", "create", "--only", "labeler", "--set", &containers]);
    saved.ends(0).says("500 rows");
    old.holds_its_rows();
}

#[test]
#[ignore = "needs Docker"]
fn a2_a_data_folder_in_no_mount_is_refused() {
    let volume = TemporaryVolume::new("a2");
    let mount = format!("{}:{DATA}", volume.0);
    let old = Old::start("a2", &["-e", "PGDATA=/pgdata", "-v", &mount], &[]);
    old.migrate(&["--yes"])
        .ends(20)
        .says("/pgdata")
        .says("lies in no volume");
    old.holds_its_rows();
}

#[test]
#[ignore = "needs Docker"]
fn a_data_folder_in_memory_is_refused() {
    let old = Old::start("memory", &["--tmpfs", DATA], &[]);
    old.migrate(&["--yes"]).ends(20).says("lies in memory");
    old.holds_its_rows();
}

#[test]
#[ignore = "needs Docker"]
fn a_volume_of_memory_is_refused() {
    let volume = TemporaryVolume(format!("xtask-test-memory-volume-{}", std::process::id()));
    docker(&[
        "volume",
        "create",
        "--opt",
        "type=tmpfs",
        "--opt",
        "device=tmpfs",
        &volume.0,
    ])
    .ends(0);
    let mount = format!("{}:{DATA}", volume.0);
    let old = Old::start("memory-volume", &["-v", &mount], &[]);
    old.migrate(&["--yes"]).ends(20).says("lies in memory");
    old.holds_its_rows();
}

#[test]
#[ignore = "needs Docker"]
fn a_server_started_by_a_shell_script_is_refused() {
    let script = "exec docker-entrypoint.sh postgres";
    let old = Old::start("script", &["--entrypoint", "sh"], &["-c", script]);
    old.migrate(&["--yes"])
        .ends(20)
        .says("starts its server with a shell script");
    old.holds_its_rows();
}

#[test]
#[ignore = "needs Docker"]
fn a_removed_container_with_a_named_volume_is_migrated_as_the_refusal_says() {
    let volume = TemporaryVolume::new("named");
    let mount = format!("{}:{DATA}", volume.0);
    let inside = format!("PGDATA={DATA}/pg/16");
    let old = Old::start("named", &["--rm", "-v", &mount, "-e", &inside], &[]);
    let hint = format!("--set 'databases.labeler.source.volumes=[\"{}\"]'", volume.0);
    old.migrate(&["--yes"])
        .ends(20)
        .says(&format!("docker stop -t 120 {}", old.container.0))
        .says(&hint);
    docker(&["stop", "-t", "120", &old.container.0]).ends(0);

    // The data folder below the volume's root is found by its files.
    let volumes = format!("databases.labeler.source.volumes=[\"{}\"]", volume.0);
    let plan = old.migrate(&["--set", &volumes, "--dry-run"]);
    plan.ends(0).says("nothing proves that it is what .env names");
    assert!(plan.stdout.contains(&inside), "{}", plan.all());
}

#[test]
#[ignore = "needs Docker"]
fn a5_a_server_at_another_address_of_this_machine_is_not_the_one_that_env_names() {
    let old = Old::without_rows("a5", "127.0.0.2", &[], &[]);
    ask_container(&old.container.0, "labeler_user", "labeler", "SELECT 1");
    old.migrate(&["--yes"])
        .ends(20)
        .says("no server answers at localhost:")
        .says(&format!("docker port {}", old.container.0));
    assert_eq!(status(&old.container.0).as_deref(), Some("running"));
}

#[test]
#[ignore = "needs Docker"]
fn b9_the_superuser_that_a_person_sets_wins_over_the_one_that_the_container_names() {
    let volume = TemporaryVolume::new("b9");
    let mount = format!("{}:{DATA}", volume.0);
    let old = Old::start("b9", &["-v", &mount], &[]);
    let port = old.workspace.env("LABELER_DB_PORT");
    docker(&["rm", "-f", &old.container.0]).ends(0);
    let publish = format!("127.0.0.1:{port}:5432");
    let again = [
        "run",
        "-d",
        "--name",
        &old.container.0,
        "-p",
        &publish,
        "-v",
        &mount,
        "-e",
        "POSTGRES_USER=nobody",
    ];
    docker(&[&again[..], &[&rehearsal_image()]].concat()).ends(0);
    ask_container(&old.container.0, "labeler_user", "labeler", "SELECT 1");

    old.migrate(&["--yes"])
        .ends(20)
        .says("--set databases.labeler.source.user=ROLE");
    old.migrate(&["--set", "databases.labeler.source.user=labeler_user", "--dry-run"])
        .ends(0);
    old.holds_its_rows();
}

#[test]
#[ignore = "needs Docker"]
fn a14_a_target_whose_data_would_lie_in_a_volume_without_a_name_is_refused() {
    let shared = PREPARED.get(|| prepared("kept-data", V1, "running"));
    let mut workspace = shared.copy();
    let platform = workspace.root.join("platform-copy");
    copy_tree(workspace.text("platform.repository.0").as_ref(), &platform);
    let file = platform.join("platform/infrastructure/docker-compose.yml");
    let text = std::fs::read_to_string(&file).unwrap();
    let moved = text.replace(
        &format!("postgres_data:{DATA}"),
        "postgres_data:/var/lib/postgresql",
    );
    assert_ne!(text, moved);
    infra::files::write_shared(&file, moved.as_bytes()).unwrap();
    let mut repository = toml_edit::Array::new();
    repository.push(platform.to_string_lossy().into_owned());
    workspace.set("platform.repository", repository);

    let refused = workspace.xtask(&["migrate", "--yes"]);
    refused.ends(20).says("a volume without a name");
    let all_run = |workspace: &Workspace| {
        super::support::DATABASES.iter().all(|database| {
            let container = workspace.text(&format!("databases.{database}.source.containers.0"));
            status(&container).as_deref() == Some("running")
        })
    };
    assert!(all_run(&workspace));
}
