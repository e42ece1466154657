//! The disk is nearly full.

use crate::doctor::{Case, Diagnosis, Examined, Problem, Proof};
use crate::model::time;
use crate::observe::SCARCE;

const SYMPTOMS: &[&str] = &[
    "No space left on device",
    "could not extend file \"*\"",
    "could not write to file \"*\"",
    "could not resize shared memory segment",
];

/// Below this PostgreSQL stops at any moment.
const NONE_LEFT: u64 = 256 << 20;
/// How much of what runs left is listed.
const SHOWN: usize = 8;

pub(in crate::doctor) const FULL: Problem = Problem {
    id: "disk-nearly-full",
    title: "\"No space left on device\"",
    meaning: "little space is left where the target's data or the backups lie",
    symptoms: SYMPTOMS,
    causes: "Backups and databases of earlier runs, images that nobody uses, or a log. A server that cannot write its WAL stops. `could not resize \
             shared memory segment` is not the disk: a container has 64 MB of shared memory, and `shm_size` in the Compose file raises it. The doctor \
             looks where the data and the runs lie, and lists what earlier runs left, with sizes.",
    repair: "Deleting is your decision, so `--fix` deletes nothing. `cargo xtask cleanup` lists what finished runs left, asks, and removes it; \
             `docker image prune` removes images that nothing uses.",
    proof: &[Proof {
        created: "a container with 200 MB for its data",
        recognised: "the space that is left, and what takes it",
        repaired: "not repaired: deleting is a person's decision",
        test: "a_container_that_is_unhealthy_elsewhere_restarting_or_out_of_space_is_told",
    }],
    examine: full,
};

fn full(case: &Case<'_>) -> Examined {
    let left = case.seen.left.iter().take(SHOWN);
    let left: Vec<String> = left
        .map(|(size, what)| format!("{}: {what}", time::bytes(*size)))
        .collect();
    let found = case.seen.space.iter().filter_map(|space| {
        if space.free >= SCARCE {
            return None;
        }
        let what = format!(
            "{} are left for {} in {}",
            time::bytes(space.free),
            space.what,
            space.place
        );
        let diagnosis = if space.free < NONE_LEFT {
            Diagnosis::error(&space.place, what)
        } else {
            Diagnosis::warning(&space.place, what)
        };
        Some(
            diagnosis
                .wanted(format!("{} or more", time::bytes(SCARCE)))
                .evidence(left.clone())
                .hint("cargo xtask cleanup")
                .hint("docker image prune"),
        )
    });
    Ok(found.collect())
}
