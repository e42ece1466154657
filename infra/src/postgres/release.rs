//! Which of two servers of different majors is the newer release, and which client programs serve a pair of servers.
//!
//! All majors get their minor releases on one day: 14.23, 15.18, 16.14, 17.10 and 18.4 were one, and so were 14.25, 15.20,
//! 16.16, 17.12 and 18.6. What a server writes into its catalogues may change with such a day, and only programs of that
//! day or later know it: pg_dump 16.14 prints an option of 15.20 that no server accepts.

use std::cmp::Ordering;

use super::major;

/// A day on which PostgreSQL released all its majors: the minor that 14 had, or would have had, on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Release(u32);

/// The day of a `server_version_num`; `None` for majors that this table does not know.
pub fn release(version_num: u32) -> Option<Release> {
    // How many minors 14 was ahead of each major on every day.
    let ahead = match major(version_num) {
        14 => 0,
        15 => 5,
        16 => 9,
        17 => 13,
        18 => 19,
        19 => 24,
        _ => return None,
    };
    Some(Release(version_num % 10_000 + ahead))
}

/// Which is the newer release; `None` when that cannot be told of two majors.
pub fn compare(one: u32, other: u32) -> Option<Ordering> {
    if major(one) == major(other) {
        return Some(one.cmp(&other));
    }
    Some(release(one)?.cmp(&release(other)?))
}

/// Whether pg_dump and pg_restore of this version can move a database from one server to the other; `None` when that cannot
/// be told.
///
/// pg_dump reads no server of a newer major, and pg_restore of a newer major sets what an older server does not know; both
/// must be releases at least as new as the two servers.
pub fn serves(client: u32, source: u32, target: u32) -> Option<bool> {
    if !(major(source)..=major(target)).contains(&major(client)) {
        return Some(false);
    }
    let (with_source, with_target) = (compare(client, source), compare(client, target));
    if [with_source, with_target].contains(&Some(Ordering::Less)) {
        return Some(false);
    }
    with_source.and(with_target).map(|_| true)
}

/// The version that a program prints: the first number with a point, or the major of a beta (`19beta2`).
pub(super) fn version_in(text: &str) -> Option<u32> {
    text.split_whitespace().find_map(|word| {
        let end = word.find(|c: char| !c.is_ascii_digit()).unwrap_or(word.len());
        let (major, rest) = word.split_at(end);
        let major: u32 = major.parse().ok()?;
        let digits = |text: &str| text.chars().take_while(char::is_ascii_digit).collect::<String>();
        let minor = match rest.strip_prefix('.') {
            Some(rest) => digits(rest).parse().ok()?,
            None if ["beta", "rc", "devel"].iter().any(|word| rest.starts_with(word)) => 0,
            None => return None,
        };
        Some(major * 10_000 + minor)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn minors_of_one_day_are_one_release_and_later_ones_are_newer() {
        for day in [
            [140_023, 150_018, 160_014, 170_010, 180_004],
            [140_025, 150_020, 160_016, 170_012, 180_006],
        ] {
            for one in day {
                for other in day {
                    assert_eq!(compare(one, other), Some(Ordering::Equal), "{one} {other}");
                    assert_eq!(compare(one + 1, other), Some(Ordering::Greater), "{one} {other}");
                }
            }
        }
        assert_eq!(compare(190_001, 180_006), Some(Ordering::Equal));
        assert_eq!(compare(150_020, 160_014), Some(Ordering::Greater));
        assert_eq!(compare(200_003, 200_001), Some(Ordering::Greater));
        assert_eq!(compare(200_001, 180_006), None, "of 20 nothing is known yet");
        assert_eq!(release(130_022), None);
    }

    #[test]
    fn clients_serve_when_no_older_than_either_server_and_of_a_major_between_them() {
        for (client, source, target, serves) in [
            (160_014, 150_018, 160_014, Some(true)),
            (160_014, 150_020, 160_014, Some(false)),
            (150_020, 150_020, 160_014, Some(true)),
            (180_004, 150_020, 180_004, Some(false)),
            (160_016, 150_020, 180_004, Some(true)),
            // pg_restore of 18 sets what 16 does not know; pg_dump of 15 does not read 16.
            (180_006, 150_020, 160_014, Some(false)),
            (150_020, 160_014, 180_004, Some(false)),
            (180_004, 180_004, 180_006, Some(false)),
            (200_001, 180_004, 200_001, None),
            (200_001, 200_000, 200_001, Some(true)),
        ] {
            assert_eq!(
                super::serves(client, source, target),
                serves,
                "{client} for {source} -> {target}"
            );
        }
    }

    #[test]
    fn the_version_is_read_from_what_the_program_prints() {
        for (text, version) in [
            (
                "pg_dump (PostgreSQL) 15.20 (Debian 15.20-0+deb12u1)",
                Some(150_020),
            ),
            ("pg_dump (PostgreSQL) 16.14", Some(160_014)),
            ("pg_dump (PostgreSQL) 19beta2", Some(190_000)),
            ("psql (PostgreSQL) 18.4\n", Some(180_004)),
            ("pg_dump: error", None),
        ] {
            assert_eq!(version_in(text), version, "{text}");
        }
    }
}
