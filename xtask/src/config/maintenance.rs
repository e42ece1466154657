//! When a production run is expected.

use std::time::{SystemTime, UNIX_EPOCH};

use super::Maintenance;

const DAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];
const MINUTES: u64 = 24 * 60;

impl Maintenance {
    /// What is wrong with these settings.
    pub(super) fn problem(&self) -> Option<String> {
        if let Some(day) = self.days.iter().find(|day| !DAYS.contains(&day.as_str())) {
            return Some(format!(
                "maintenance.days has {day:?}; a day is one of {}",
                DAYS.join(", ")
            ));
        }
        let wrong = [&self.from, &self.to]
            .into_iter()
            .find(|text| !text.is_empty() && minute(text).is_none());
        if let Some(text) = wrong {
            return Some(format!("maintenance: {text:?} is no time such as 22:30"));
        }
        (self.from.is_empty() != self.to.is_empty())
            .then(|| "maintenance.from and maintenance.to go together".to_owned())
    }

    /// Whether a run is expected at this time; always, where no window is set.
    pub fn is_open(&self, at: SystemTime) -> bool {
        let minutes = at
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| since.as_secs() / 60);
        let (day, now) = (minutes / MINUTES, minutes % MINUTES);
        let (Some(from), Some(to)) = (minute(&self.from), minute(&self.to)) else {
            return self.has(day);
        };
        if from < to {
            return self.has(day) && (from..to).contains(&now);
        }
        // Past midnight it is still the window that began the day before.
        self.has(day) && now >= from || now < to && day > 0 && self.has(day - 1)
    }

    /// Whether a window begins on this day since 1970-01-01, a Thursday.
    fn has(&self, day: u64) -> bool {
        let name = usize::try_from((day + 4) % 7)
            .ok()
            .and_then(|index| DAYS.get(index));
        self.days.is_empty() || name.is_some_and(|name| self.days.iter().any(|day| day == name))
    }

    /// For people.
    pub fn describe(&self) -> String {
        let days = if self.days.is_empty() {
            "every day".to_owned()
        } else {
            self.days.join(", ")
        };
        match self.from.as_str() {
            "" => days,
            from => format!("{days}, {from} to {} UTC", self.to),
        }
    }
}

/// The minute of the day.
fn minute(text: &str) -> Option<u64> {
    let (hours, minutes) = text.split_once(':')?;
    let (hours, minutes): (u64, u64) = (hours.parse().ok()?, minutes.parse().ok()?);
    (hours < 24 && minutes < 60).then_some(hours * 60 + minutes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(days: &[&str], from: &str, to: &str, at: &str) -> bool {
        let window = Maintenance {
            days: days.iter().map(ToString::to_string).collect(),
            from: from.to_owned(),
            to: to.to_owned(),
        };
        assert_eq!(window.problem(), None);
        window.is_open(humantime::parse_rfc3339(at).unwrap())
    }

    #[test]
    fn a_window_over_midnight_belongs_to_the_day_on_which_it_begins() {
        // 2026-12-12 is a Saturday.
        assert!(open(&["sat"], "22:00", "04:00", "2026-12-12T23:30:00Z"));
        assert!(open(&["sat"], "22:00", "04:00", "2026-12-13T03:59:00Z"));
        assert!(!open(&["sat"], "22:00", "04:00", "2026-12-13T04:00:00Z"));
        assert!(!open(&["sat"], "22:00", "04:00", "2026-12-12T03:00:00Z"));
        assert!(open(&["sat"], "01:00", "04:00", "2026-12-12T03:00:00Z"));
        assert!(!open(&["sun"], "", "", "2026-12-12T03:00:00Z"));
        assert!(open(&[], "", "", "2026-12-12T03:00:00Z"));
    }

    #[test]
    fn a_window_that_makes_no_sense_is_named() {
        let problem = |days: &[&str], from: &str, to: &str| {
            let window = Maintenance {
                days: days.iter().map(ToString::to_string).collect(),
                from: from.to_owned(),
                to: to.to_owned(),
            };
            window.problem().unwrap_or_default()
        };
        assert!(problem(&["caturday"], "", "").contains("caturday"));
        assert!(problem(&[], "25:00", "1:00").contains("25:00"));
        assert!(problem(&[], "22:00", "").contains("together"));
    }
}
