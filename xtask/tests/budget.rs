//! Every developer builds xtask on every machine: what it depends on is a budget.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::BTreeSet;

use xshell::{Shell, cmd};

/// Crates in the normal tree, the workspace's own included.
const CRATES: usize = 80;

/// What no dependency may bring along: an async runtime, a TLS stack, another HTTP client. Prefixes of names.
const UNWANTED: [&str; 10] = [
    "tokio",
    "async-std",
    "smol",
    "openssl",
    "native-tls",
    "rustls",
    "ring ",
    "reqwest",
    "hyper",
    "ureq",
];

/// Crates in the normal tree for this platform, as `name vX.Y.Z`: two versions of one crate are two to build.
fn tree() -> BTreeSet<String> {
    let shell = Shell::new().unwrap();
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    // Everything has been built a moment ago: nothing needs to be fetched.
    let tree = cmd!(
        shell,
        "{cargo} tree --locked --offline --package xtask --edges normal --prefix none"
    );
    let text = tree.quiet().read().unwrap();
    let crates = text.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        Some(format!("{} {}", words.next()?, words.next()?))
    });
    crates.collect()
}

#[test]
fn the_tree_stays_within_its_budget() {
    let crates = tree();
    assert!(
        crates.iter().any(|name| name.starts_with("clap ")),
        "this is not the tree: {crates:?}"
    );
    let count = crates.len();
    assert!(count <= CRATES, "{count} crates, {CRATES} allowed: {crates:#?}");
}

#[test]
fn no_async_runtime_no_tls_and_no_second_http_client() {
    let found = |name: &&String| UNWANTED.iter().any(|unwanted| name.starts_with(unwanted));
    assert_eq!(tree().iter().find(found), None);
}
