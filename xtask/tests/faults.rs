//! The fault suite, through the command: its short form, and every line of the journal.

#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test that cannot be prepared fails")]

use std::time::Duration;

use infra::{Cmd, Interrupt, Runner};

/// Runs the suite; its table is what a failure shows.
#[track_caller]
fn faults(args: &[&str]) {
    let cmd = Cmd::new(env!("CARGO_BIN_EXE_xtask"), "provoke faults")
        .args(["faults", "--seed", "20261123"])
        .args(args)
        .limit(Duration::from_secs(3600));
    let output = Runner::new(Interrupt::default()).output(&cmd).unwrap();
    assert_eq!(
        output.code,
        Some(0),
        "{}\n{}",
        output.stdout_text(),
        output.stderr
    );
}

/// A kill while resuming, one while going back, one of pg_dump; a damaged archive, a dump that was cut.
#[test]
fn faults_of_the_short_suite_lose_nothing() {
    faults(&["--short"]);
}

#[test]
#[ignore = "takes minutes: a migration, a resume and a rollback for every line of the journal"]
fn killed_after_every_journal_line_a_resumed_run_ends_as_an_uninterrupted_one() {
    // More rounds than lines.
    faults(&["--only", "kill-line", "--runs", "40"]);
}

#[test]
#[ignore = "takes minutes: every fault that there is"]
fn every_fault_is_met_and_nothing_is_lost() {
    faults(&[]);
}
