//! A fuzz loop on stable Rust: random files, random edits, every check, for `BACKEND_ENV_FUZZ_SECONDS` (default 3).
//!
//! A failure names its seed; `BACKEND_ENV_FUZZ_SEED=<seed> BACKEND_ENV_FUZZ_SECONDS=0` runs that case alone.

#[path = "support/checks.rs"]
mod checks;
#[path = "support/random.rs"]
mod random;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use random::{FILE, Random};

#[test]
fn nothing_breaks() {
    let number = |name: &str| {
        std::env::var(name)
            .ok()
            .map(|text| text.parse::<u64>().expect(name))
    };
    let time = Duration::from_secs(number("BACKEND_ENV_FUZZ_SECONDS").unwrap_or(3));
    let first = number("BACKEND_ENV_FUZZ_SEED").unwrap_or(1);
    let start = Instant::now();
    let (mut cases, mut made) = (0u64, 0u64);
    for seed in first.. {
        let case = catch_unwind(AssertUnwindSafe(|| one_case(seed)));
        made += case.unwrap_or_else(|_| panic!("BACKEND_ENV_FUZZ_SEED={seed}"));
        cases += 1;
        if start.elapsed() >= time {
            break;
        }
    }
    println!("{cases} files, {made} edits made");
}

fn one_case(seed: u64) -> u64 {
    let mut random = Random::new(seed);
    let mut doc = checks::check_document(&random_file(&mut random));
    (0..3)
        .map(|_| u64::from(checks::check_edit(&mut doc, &mut random)))
        .sum()
}

/// A file of hostile pieces, or of plain lines, or of bytes.
fn random_file(random: &mut Random) -> Vec<u8> {
    match random.below(4) {
        0 => random.text(FILE, 30).into_bytes(),
        1 => random.text(FILE, 30).into_bytes(),
        2 => (0..random.below(40)).map(|_| random.next() as u8).collect(),
        _ => plain_file(random),
    }
}

fn plain_file(random: &mut Random) -> Vec<u8> {
    const LINES: &[&str] = &[
        "A=1",
        "B='2'",
        "K=\"3\"",
        "export x=4",
        "# c",
        "",
        "A = 5",
        "B=${A}",
        "x=\"a\nb\"",
        "# K=6",
        "K",
        "A.B=7",
        "A=8 # c",
    ];
    let end = random.pick(&["\n", "\n", "\r\n"]);
    let mut text = String::from(random.pick(&["", "", "\u{feff}"]));
    for _ in 0..random.below(8) {
        text.push_str(random.pick(LINES));
        text.push_str(end);
    }
    if random.below(3) == 0 {
        text.truncate(text.trim_end_matches(['\r', '\n']).len());
    }
    text.into_bytes()
}
