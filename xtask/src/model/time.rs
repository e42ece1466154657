//! Time as text.

use std::sync::OnceLock;
use std::time::{Instant, SystemTime};

/// Variable that names another time at which this program starts, in RFC 3339: the fault suite runs over midnight and
/// puts the clock back with it. Without the variable nothing happens.
pub const CLOCK: &str = "XTASK_CLOCK";

/// The time. Only names and what people read depend on it, and what is told of an old instance that was started after a
/// run: nothing waits for it.
pub fn clock() -> SystemTime {
    static TOLD: OnceLock<Option<(SystemTime, Instant)>> = OnceLock::new();
    let told = TOLD.get_or_init(|| {
        let text = std::env::var(CLOCK).ok()?;
        Some((humantime::parse_rfc3339(&text).ok()?, Instant::now()))
    });
    match told {
        Some((start, since)) => *start + since.elapsed(),
        None => SystemTime::now(),
    }
}

/// Now in UTC as RFC 3339 with milliseconds.
pub fn now() -> String {
    humantime::format_rfc3339_millis(clock()).to_string()
}

/// Now in UTC as `20261209_141502`.
pub fn compact_now() -> String {
    compact(clock())
}

/// A time in UTC as `20261209_141502`.
pub fn compact(at: SystemTime) -> String {
    let text = humantime::format_rfc3339_seconds(at).to_string();
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    format!("{}_{}", &digits[..8], &digits[8..14])
}

/// Seconds as people read them: `0.4 s`, `12 s`, `3 min 5 s`.
pub fn seconds(value: f64) -> String {
    match value {
        v if v < 10.0 => format!("{v:.1} s"),
        v if v < 120.0 => format!("{v:.0} s"),
        v => format!("{:.0} min {:.0} s", (v / 60.0).floor(), v % 60.0),
    }
}

/// Bytes as people read them, in powers of 1024.
pub fn bytes(value: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut number = value as f64;
    let mut unit = 0;
    while number >= 1024.0 && unit < UNITS.len() - 1 {
        number /= 1024.0;
        unit += 1;
    }
    if unit == 0 {
        format!("{value} B")
    } else {
        format!("{number:.1} {}", UNITS[unit])
    }
}

/// An integer with thousands separated: `1,000,000`.
pub fn count(value: u64) -> String {
    let digits = value.to_string();
    let mut out = String::new();
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(c);
    }
    out
}
