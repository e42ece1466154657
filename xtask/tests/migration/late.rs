//! Rows that somebody writes between the backup and the cutover.

use super::support::{Rehearsal, ask, write};

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
fn an_old_instance_that_was_only_restarted_is_compared_and_the_run_goes_on() {
    let rehearsal = Rehearsal::local("restarted");
    let workspace = &rehearsal.workspace;
    let script = workspace.labeler.join("backend/scripts/init_database.py");
    let works = std::fs::read(&script).unwrap();
    write(&script, "import sys\nsys.exit(1)\n");
    workspace.xtask(&["migrate", "--yes"]).ends(21);
    write(&script, works);
    workspace.stop("labeler");
    workspace.start("labeler");
    workspace.xtask(&["migrate", "--resume"]).ends(0);
}
