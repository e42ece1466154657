//! `migrate --pull`: the platform's checkout is brought up to date while nothing has stopped yet.

use std::path::{Path, PathBuf};

use infra::Cmd;

use super::support::{DATABASES, Rehearsal, Workspace, run, write};

#[track_caller]
fn git(folder: &Path, args: &[&str]) {
    let identity = [
        "-c",
        "user.name=tester",
        "-c",
        "user.email=tester@example.invalid",
    ];
    let cmd = Cmd::new("git", "run git").args(identity).args(args).cwd(folder);
    run(cmd).ends(0);
}

/// Changes a file of a checkout and commits it.
#[track_caller]
fn commit(checkout: &Path, file: &str, text: &str) {
    write(&checkout.join(file), text);
    git(checkout, &["add", "-A"]);
    git(checkout, &["commit", "-q", "-m", "a change"]);
}

/// The platform's checkout as a clone of a repository, and another clone in which somebody works.
fn repositories(workspace: &Workspace) -> (PathBuf, PathBuf) {
    let platform = PathBuf::from(workspace.text("platform.repository.0"));
    let (bare, other) = (platform.with_extension("git"), platform.with_extension("other"));
    git(&platform, &["init", "-q", "-b", "develop"]);
    git(&platform, &["add", "-A"]);
    git(&platform, &["commit", "-q", "-m", "as it is"]);
    let [from, to, work] = [&platform, &bare, &other].map(|path| path.to_str().unwrap());
    git(&platform, &["clone", "-q", "--bare", from, to]);
    git(&platform, &["remote", "add", "origin", to]);
    git(&platform, &["clone", "-q", to, work]);
    (platform, other)
}

#[test]
fn pulling_ends_the_run_before_anything_stops_when_it_fails_or_brings_another_compose_file() {
    let mut rehearsal = Rehearsal::local("pull");
    let workspace = &mut rehearsal.workspace;
    let (platform, other) = repositories(workspace);
    let env = workspace.env_bytes();
    let untouched = |workspace: &Workspace| {
        assert!(DATABASES.iter().all(|database| workspace.runs_now(database)));
        assert!(workspace.env_bytes() == env, ".env was changed");
    };

    let here = workspace.settings["platform"]["repository"]
        .as_value()
        .unwrap()
        .clone();
    workspace.set("platform.repository", toml_edit::Array::from_iter(["nowhere"]));
    workspace
        .xtask(&["migrate", "--yes", "--pull"])
        .ends(20)
        .says("error[platform.pull]");
    workspace.set("platform.repository", here);

    // Somebody's own commit is neither merged nor lost.
    commit(&platform, "mine.txt", "mine");
    commit(&other, "theirs.txt", "theirs");
    git(&other, &["push", "-q"]);
    workspace
        .xtask(&["migrate", "--yes", "--pull"])
        .ends(20)
        .says("failed to pull the platform's checkout")
        .says("no server was stopped, .env is untouched")
        .says("hint: git -C");
    untouched(workspace);
    assert!(!platform.join("theirs.txt").exists());
    git(&platform, &["reset", "-q", "--hard", "HEAD~1"]);

    let compose = "platform/infrastructure/docker-compose.yml";
    let text = std::fs::read_to_string(other.join(compose)).unwrap();
    commit(&other, compose, &format!("{text}# changed\n"));
    git(&other, &["push", "-q"]);
    workspace
        .xtask(&["migrate", "--yes", "--pull"])
        .ends(20)
        .says("the pull brought another one")
        .says("hint: cargo xtask migrate");
    untouched(workspace);
    assert!(platform.join("theirs.txt").exists(), "it was pulled");

    // With what was pulled a new plan is made, and what else comes is no obstacle.
    commit(&other, "README.md", "new");
    git(&other, &["push", "-q"]);
    let document = workspace
        .xtask(&["migrate", "--yes", "--pull", "--json"])
        .ends(0)
        .json();
    assert_eq!(document["verified"], true);
    assert_eq!(document["steps"][0]["name"], "pull");
    assert_eq!(
        std::fs::read_to_string(platform.join("README.md")).unwrap(),
        "new"
    );
}
