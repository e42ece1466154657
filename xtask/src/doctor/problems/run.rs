//! A migration that is not finished.

use crate::doctor::{Case, Diagnosis, Examined, Problem, Proof};

pub(in crate::doctor) const UNFINISHED: Problem = Problem {
    id: "run-unfinished",
    title: "A migration is not finished",
    meaning: "a migration stopped in the middle, or a rollback did not end",
    symptoms: &["run * is not finished"],
    causes: "A step failed, somebody pressed Ctrl-C, or the machine was switched off. Until the run is resumed or rolled back, the old \
             instances are stopped on purpose: closed ports, stopped containers and an `.env` that nobody answers follow from that, and the \
             doctor does not report them.",
    repair: "Whether to go on or to go back is your decision, so `--fix` does neither. Both lines are shown.",
    proof: &[Proof {
        created: "a migration that fails at a step after the fence",
        recognised: "the run, and nothing that follows from it",
        repaired: "not repaired: going on or going back is a person's decision",
        test: "a_run_in_the_middle_is_the_only_diagnosis_of_the_doctor",
    }],
    examine: unfinished,
};

fn unfinished(case: &Case<'_>) -> Examined {
    let Some(open) = case.open else {
        return Ok(Vec::new());
    };
    if let Some(who) = &open.held_by {
        let found = Diagnosis::warning(&open.run, format!("run {} is being worked on: {who}", open.run));
        return Ok(vec![found.wanted("wait until it ends")]);
    }
    let what = match open.going_back {
        true => "is on its way back and did not get there",
        false => "is not finished",
    };
    let found = Diagnosis::error(
        &open.run,
        format!("run {} {what}: the old instances are as it left them", open.run),
    )
    .wanted("the run resumed, or rolled back");
    Ok(vec![open.lines.iter().cloned().fold(found, Diagnosis::hint)])
}
