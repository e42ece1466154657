//! Rows and checksums by parts of the primary key.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::Checksum;

/// The buckets of one table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Buckets {
    /// The key columns, shown.
    pub key: Vec<String>,
    /// Bits that the leading key column is shifted by; `None`: the bucket is the upper six bits of the key's hash.
    pub shift: Option<u32>,
    /// Bucket number -> what is in it; empty buckets are absent.
    pub parts: BTreeMap<i64, Bucket>,
}

/// One bucket, written as `rows:checksum`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bucket {
    /// Number of rows.
    pub rows: u64,
    /// Checksum over them.
    pub checksum: Checksum,
}

impl Bucket {
    /// Both together.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            rows: self.rows + other.rows,
            checksum: self.checksum.plus(other.checksum),
        }
    }
}

impl Serialize for Bucket {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{}:{}", self.rows, self.checksum))
    }
}

impl<'de> Deserialize<'de> for Bucket {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let (rows, checksum) = text
            .split_once(':')
            .ok_or_else(|| de::Error::custom("expected rows:checksum"))?;
        Ok(Self {
            rows: rows.parse().map_err(de::Error::custom)?,
            checksum: checksum.parse().map_err(de::Error::custom)?,
        })
    }
}

/// A part of the key in which two tables differ.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyRange {
    /// Smallest and largest value of the leading key column; `None`: keys scattered by hash.
    pub keys: Option<(i64, i64)>,
    /// The leading key column, or all of them when scattered.
    pub column: String,
    /// Rows expected in it.
    pub expected_rows: u64,
    /// Rows found in it.
    pub actual_rows: u64,
}

impl fmt::Display for KeyRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.keys {
            Some((from, to)) if from == to => write!(f, "{} {from}", self.column)?,
            Some((from, to)) => write!(f, "{} {from}..{to}", self.column)?,
            None => write!(f, "a group of keys ({})", self.column)?,
        }
        if self.expected_rows == self.actual_rows {
            write!(f, " ({} rows)", self.actual_rows)
        } else {
            write!(f, " ({} rows, expected {})", self.actual_rows, self.expected_rows)
        }
    }
}

/// Key ranges in which the two differ, neighbours joined; `None` when the tables are divided by different keys.
pub(super) fn differing(expected: &Buckets, actual: &Buckets) -> Option<Vec<KeyRange>> {
    if expected.key != actual.key {
        return None;
    }
    match (expected.shift, actual.shift) {
        (Some(a), Some(b)) => {
            let shift = a.max(b);
            let (expected_parts, actual_parts) = (merged(expected, shift - a), merged(actual, shift - b));
            let mut ranges: Vec<KeyRange> = Vec::new();
            for number in differing_numbers(&expected_parts, &actual_parts) {
                let from = number << shift;
                // At the upper end of bigint the next bucket does not exist.
                let to = from.checked_add((1_i64 << shift) - 1).unwrap_or(i64::MAX);
                let [expected_rows, actual_rows] = [&expected_parts, &actual_parts]
                    .map(|parts| parts.get(&number).map_or(0, |part| part.rows));
                match ranges.last_mut() {
                    Some(KeyRange {
                        keys: Some((_, end)),
                        expected_rows: e,
                        actual_rows: a,
                        ..
                    }) if end.checked_add(1) == Some(from) => {
                        *end = to;
                        *e += expected_rows;
                        *a += actual_rows;
                    }
                    _ => ranges.push(KeyRange {
                        keys: Some((from, to)),
                        column: expected.key.first().cloned().unwrap_or_default(),
                        expected_rows,
                        actual_rows,
                    }),
                }
            }
            Some(ranges)
        }
        (None, None) => {
            let numbers = differing_numbers(&expected.parts, &actual.parts);
            let rows = |side: &Buckets| {
                numbers
                    .iter()
                    .filter_map(|number| side.parts.get(number))
                    .map(|part| part.rows)
                    .sum()
            };
            Some(if numbers.is_empty() {
                Vec::new()
            } else {
                vec![KeyRange {
                    keys: None,
                    column: expected.key.join(", "),
                    expected_rows: rows(expected),
                    actual_rows: rows(actual),
                }]
            })
        }
        _ => None,
    }
}

/// Numbers of buckets that are not the same on both sides.
pub(super) fn differing_numbers(
    expected: &BTreeMap<i64, Bucket>,
    actual: &BTreeMap<i64, Bucket>,
) -> Vec<i64> {
    let mut numbers: Vec<i64> = expected.keys().chain(actual.keys()).copied().collect();
    numbers.sort_unstable();
    numbers.dedup();
    numbers.retain(|number| expected.get(number) != actual.get(number));
    numbers
}

fn merged(buckets: &Buckets, by: u32) -> BTreeMap<i64, Bucket> {
    let mut parts: BTreeMap<i64, Bucket> = BTreeMap::new();
    for (number, bucket) in &buckets.parts {
        let part = parts.entry(number >> by).or_default();
        *part = part.plus(*bucket);
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bucket(rows: u64, sum: &str) -> Bucket {
        Bucket {
            rows,
            checksum: Checksum::from_sums(sum, sum).unwrap(),
        }
    }

    fn buckets(shift: Option<u32>, parts: &[(i64, u64, &str)]) -> Buckets {
        Buckets {
            key: vec!["id".to_owned()],
            shift,
            parts: parts
                .iter()
                .map(|(number, rows, sum)| (*number, bucket(*rows, sum)))
                .collect(),
        }
    }

    #[test]
    fn a_difference_is_placed_in_its_range_and_neighbours_are_joined() {
        let expected = buckets(Some(4), &[(-1, 2, "9"), (0, 15, "1"), (1, 16, "2"), (3, 16, "3")]);
        let actual = buckets(Some(4), &[(-1, 2, "9"), (0, 15, "7"), (1, 15, "8"), (3, 16, "4")]);
        let ranges = differing(&expected, &actual).unwrap();
        let shown: Vec<String> = ranges.iter().map(ToString::to_string).collect();
        assert_eq!(shown, ["id 0..31 (30 rows, expected 31)", "id 48..63 (16 rows)"]);
    }

    #[test]
    fn a_table_cut_short_is_compared_over_the_wider_buckets() {
        let expected = buckets(Some(3), &[(0, 8, "1"), (1, 8, "2"), (2, 8, "5")]);
        let actual = buckets(Some(2), &[(0, 4, "4"), (1, 4, "-3"), (2, 4, "2")]);
        let shown: Vec<String> = differing(&expected, &actual)
            .unwrap()
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(shown, ["id 8..23 (4 rows, expected 16)"]);
    }

    #[test]
    fn the_largest_key_has_a_range_too() {
        let expected = buckets(Some(58), &[(31, 1, "1")]);
        let actual = buckets(Some(58), &[]);
        let range = &differing(&expected, &actual).unwrap()[0];
        assert_eq!(range.keys.unwrap().1, i64::MAX);
    }

    #[test]
    fn hashed_and_ranged_buckets_do_not_compare() {
        assert_eq!(differing(&buckets(None, &[]), &buckets(Some(0), &[])), None);
        let ranges = differing(&buckets(None, &[(5, 2, "1")]), &buckets(None, &[(5, 2, "2")])).unwrap();
        assert_eq!(ranges[0].to_string(), "a group of keys (id) (2 rows)");
    }

    #[test]
    fn a_bucket_survives_json() {
        let text = serde_json::to_string(&buckets(Some(1), &[(-3, 7, "255")])).unwrap();
        assert!(
            text.contains("\"-3\":\"7:00000000000000ff00000000000000ff\""),
            "{text}"
        );
        assert_eq!(
            serde_json::from_str::<Buckets>(&text).unwrap(),
            buckets(Some(1), &[(-3, 7, "255")])
        );
    }
}
