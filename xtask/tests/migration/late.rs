//! Rows that somebody writes between the backup and the cutover.

use std::io::Write as _;
use std::net::TcpListener;

use super::support::{Rehearsal, ask, run, write};

const LATE: &str = "CREATE TABLE public.written_late (n int); INSERT INTO written_late VALUES (1);";

#[test]
fn rows_that_are_written_before_the_cutover_on_either_side_are_not_left_behind() {
    let rehearsal = Rehearsal::local("late");
    let workspace = &rehearsal.workspace;
    let env = workspace.env_bytes();
    // The run stops after the swap and before the cutover.
    write(
        &workspace.labeler.join("backend/scripts/init_database.py"),
        "import sys\nsys.exit(1)\n",
    );
    workspace
        .xtask(&["migrate", "--yes"])
        .ends(21)
        .says("bring the schema");

    // On the target, whose place may be the old platform's: then `.env` names it already.
    ask(&workspace.target(), "platform", LATE);
    workspace
        .xtask(&["rollback", "--yes"])
        .ends(20)
        .says("platform: table public.written_late with 1 rows is not expected to be there")
        .says("--discard-new-writes");
    ask(&workspace.target(), "platform", "DROP TABLE written_late;");

    // On the old instance, by somebody who ends the reader and starts it again.
    workspace.stop("labeler");
    workspace.start("labeler");
    ask(&workspace.source("labeler", &env), "labeler", LATE);
    workspace
        .xtask(&["migrate", "--resume"])
        .ends(21)
        .says("the old instance of labeler was written to after its backup was taken")
        .says("written_late")
        .says("hint: cargo xtask rollback");
    workspace.xtask(&["rollback", "--yes"]).ends(22);
    let rows = ask(
        &workspace.source("labeler", &env),
        "labeler",
        "SELECT n FROM written_late",
    );
    assert_eq!(rows, "1");
    assert!(workspace.env_bytes() == env);
}

#[test]
fn a_reader_that_is_another_one_at_the_cutover_stops_it_and_what_compares_equal_goes_on() {
    let rehearsal = Rehearsal::local("restarted");
    let workspace = &rehearsal.workspace;
    let env = workspace.env_bytes();
    let script = workspace.labeler.join("backend/scripts/init_database.py");
    let works = std::fs::read(&script).unwrap();
    write(&script.with_file_name("works.py"), &works);
    // Between the swap and the cutover the script waits until the old instance was started and stopped by hand.
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let waits = format!(
        "import pathlib, runpy, socket\n\
         talk = socket.create_connection((\"127.0.0.1\", {port}))\n\
         talk.recv(1)\n\
         runpy.run_path(str(pathlib.Path(__file__).with_name(\"works.py\")), run_name=\"__main__\")\n"
    );
    write(&script, waits);
    let first = workspace.cmd(&["migrate", "--yes"]);
    let first = std::thread::spawn(move || run(first));
    let (mut talk, _) = listener.accept().unwrap();
    workspace.stop("labeler");
    workspace.start("labeler");
    talk.write_all(b"x").unwrap();
    first
        .join()
        .unwrap()
        .ends(21)
        .says("the old instance of labeler was started, or its reader ended, after its backup was taken");
    assert!(workspace.env_bytes() == env, ".env is untouched");

    write(&script, works);
    workspace.xtask(&["migrate", "--resume"]).ends(0);
}
