//! What all rounds learned, and the table of it.

use std::fmt::Write;
use std::time::Duration;

use super::catalogue::Fault;
use super::round::{Learned, Verdict};

/// The sum over one fault's rounds.
#[derive(Debug, Default)]
struct Row {
    times: usize,
    missed: usize,
    detected: usize,
    harmless: usize,
    undetected: usize,
    recovered: usize,
    lost: u64,
    wrong: usize,
    detect: Vec<Duration>,
    back: Vec<Duration>,
}

/// The sums, by fault.
pub(super) struct Tally<'a> {
    rows: Vec<(&'a Fault, Row)>,
    /// Programs and servers that were killed.
    pub(super) kills: usize,
}

impl<'a> Tally<'a> {
    pub(super) fn new(faults: &'a [Fault]) -> Self {
        Self {
            rows: faults.iter().map(|fault| (fault, Row::default())).collect(),
            kills: 0,
        }
    }

    /// How often a fault was provoked.
    pub(super) fn turns(&self, name: &str) -> usize {
        let found = self.rows.iter().find(|(fault, _)| fault.name == name);
        found.map_or(0, |(_, row)| row.times + row.missed)
    }

    pub(super) fn add(&mut self, name: &str, learned: &Learned) {
        self.kills += learned.kills;
        let Some((_, row)) = self.rows.iter_mut().find(|(fault, _)| fault.name == name) else {
            return;
        };
        row.lost += learned.wrong.rows;
        row.wrong += usize::from(!learned.wrong.is_empty());
        row.back.extend(learned.back);
        match learned.verdict {
            None => {
                row.missed += 1;
                return;
            }
            Some(Verdict::Detected) => row.detected += 1,
            Some(Verdict::Harmless) => row.harmless += 1,
            Some(Verdict::Undetected) => row.undetected += 1,
        }
        row.times += 1;
        row.recovered += usize::from(learned.recovered);
        if learned.verdict == Some(Verdict::Detected) {
            row.detect.extend(learned.detect);
        }
    }

    /// Whether every fault was met as it must be.
    pub(super) fn is_well(&self) -> bool {
        self.rows.iter().all(|(_, row)| {
            row.lost == 0 && row.undetected == 0 && row.wrong == 0 && row.recovered == row.times
        })
    }

    /// The table, in Markdown: it is read on a terminal and pasted into docs/reliability.md.
    pub(super) fn markdown(&self) -> String {
        let mut out = String::from(
            "| fault | times | detected | harmless | undetected | recovered | rows lost | s to detect | s to go back |\n\
             |---|---:|---:|---:|---:|---:|---:|---:|---:|\n",
        );
        let mut total = Row::default();
        // Writing to a String cannot fail.
        for (fault, row) in &self.rows {
            if row.times + row.missed == 0 {
                continue;
            }
            let _ = writeln!(out, "| {}: {} | {} |", fault.name, fault.what, cells(row));
            total.times += row.times;
            total.detected += row.detected;
            total.harmless += row.harmless;
            total.undetected += row.undetected;
            total.recovered += row.recovered;
            total.lost += row.lost;
            total.detect.extend(&row.detect);
            total.back.extend(&row.back);
        }
        let _ = writeln!(out, "| **all** | {} |", cells(&total));
        out
    }
}

fn cells(row: &Row) -> String {
    let times = [
        row.times,
        row.detected,
        row.harmless,
        row.undetected,
        row.recovered,
    ];
    let times: Vec<String> = times.iter().map(ToString::to_string).collect();
    format!(
        "{} | {} | {} | {}",
        times.join(" | "),
        row.lost,
        spread(&row.detect),
        spread(&row.back)
    )
}

/// Median and largest.
fn spread(times: &[Duration]) -> String {
    let mut times = times.to_vec();
    times.sort();
    match (times.get(times.len() / 2), times.last()) {
        (Some(median), Some(most)) => format!("{:.1} ({:.1})", median.as_secs_f64(), most.as_secs_f64()),
        _ => "-".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::catalogue;
    use super::*;

    fn learned(verdict: Option<Verdict>, recovered: bool) -> Learned {
        Learned {
            verdict,
            recovered,
            detect: Some(Duration::from_millis(1500)),
            ..Learned::default()
        }
    }

    #[test]
    fn a_blow_that_met_nothing_is_not_counted_and_a_lost_row_spoils_everything() {
        let faults = catalogue::all();
        let mut tally = Tally::new(&faults);
        tally.add("kill-line", &learned(Some(Verdict::Detected), true));
        tally.add("kill-line", &learned(None, true));
        assert!(tally.is_well());
        assert_eq!(tally.turns("kill-line"), 2);
        assert!(
            tally
                .markdown()
                .contains("| 1 | 1 | 0 | 0 | 1 | 0 | 1.5 (1.5) | - |"),
            "{}",
            tally.markdown()
        );
        let mut lost = learned(Some(Verdict::Detected), true);
        lost.wrong.rows = 1;
        tally.add("writer", &lost);
        assert!(!tally.is_well());
    }

    #[test]
    fn what_is_undetected_or_not_recovered_is_not_well() {
        let faults = catalogue::all();
        for bad in [
            learned(Some(Verdict::Undetected), true),
            learned(Some(Verdict::Detected), false),
        ] {
            let mut tally = Tally::new(&faults);
            tally.add("kill-line", &bad);
            assert!(!tally.is_well());
        }
    }
}
