//! How rows become a checksum.
//!
//! Every row becomes 64 bits on the server: `hash_record_extended(ROW(columns by name), seed)`. Columns whose hash keeps
//! every bit of the value go in as they are; most others as text under pinned settings (`sql/manifest_pins.sql`). The
//! checksum is two sums, modulo 2^64, of two different hashes of these 64 bits, so the order of rows does not matter,
//! parts of a table can be added up, and a row that comes twice counts twice.
//!
//! **Why not simply the row's text?** Measured (14 columns, 1,000,000 rows, CPU seconds of the backend on 15):
//! `t::text` with `hashtextextended` 3.8, with md5 4.7 and more, this way 2.1, `COPY` of the same rows to a file 2.3.
//!
//! **Why is it the same on every version from 14 on?** Hash-partitioned tables are restored by routing rows with the
//! `*extended` hash functions, and pg_upgrade keeps the files: PostgreSQL cannot change them without losing rows.
//! `hash_record_extended` (14) is the support function of `record_ops` and bound by the same promise. They differ
//! between little-endian and big-endian machines for floating point numbers.
//!
//! **Which types go in as they are?** Only those whose hash takes in every bit. Not `numeric`: sign and trailing zeros do
//! not count. Not `jsonb`, arrays, ranges, `interval`: equal values may look different. Not enums: their hash is over the
//! OID. The hash of `bigint` and `timestamp` folds to 32 bits first, so the former goes in as two halves, the latter as
//! the bytes of the wire protocol, which are cheaper than its text. Among floating point numbers 0 and -0 have one hash,
//! so a zero goes in as text as well. Seeds are not 0: NULL hashes to 0, and so would the number 0 with seed 0.
//!
//! **Which text?** What the type's output function prints, called by its name, as pg_dump's `COPY` does. `x::text` would
//! go through a cast that somebody made for the type, and such a cast may leave out half of the value. It costs the same:
//! without such a cast PostgreSQL itself makes `textin(output(x))` of `x::text`.
//!
//! **Why hash the hash?** `hash_record_extended` is linear in its columns' hashes (times 31, plus the next), so without
//! a second hash two rows that exchange the values of one column would give the same sum. `hashint8extended` folds to 32
//! bits, so two overlapping 53-bit parts go through `hashfloat8extended`, which does not; together they are all 64 bits.
//!
//! **What it cannot see:** a changed row goes unnoticed with a probability of 2^-64. It is no defence against somebody
//! who searches for collisions; the SHA-256 of every archive file is. Texts hash in the database's encoding, so rows with
//! non-ASCII text compare between equal encodings only. A value that PostgreSQL cannot print (over 1 GB as text) fails
//! here as it fails in pg_dump.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::relation::Column;
use crate::postgres::quote::ident;

const COLUMNS_SEED: u32 = 7;
const KEY_SEED: u32 = 3;

/// More columns than this leave no room for a second entry each in a row of at most 1664.
const WIDE: usize = 800;

/// A checksum over rows: two 64-bit sums, written as 32 hexadecimal digits. That of no rows is zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Checksum(u64, u64);

impl Checksum {
    /// From the sums that PostgreSQL answers with (`numeric` as text).
    pub(super) fn from_sums(first: &str, second: &str) -> Option<Self> {
        // A sum of n signed 64-bit numbers fits 128 bits for every n that fits 64; the low half is the sum modulo 2^64.
        let low = |text: &str| {
            text.parse::<i128>()
                .ok()
                .map(|sum| (sum & i128::from(u64::MAX)).unsigned_abs() as u64)
        };
        Some(Self(low(first)?, low(second)?))
    }

    /// The checksum of both sets of rows together.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self(self.0.wrapping_add(other.0), self.1.wrapping_add(other.1))
    }
}

impl fmt::Display for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}{:016x}", self.0, self.1)
    }
}

impl FromStr for Checksum {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let half = |range| {
            text.get(range)
                .and_then(|digits| u64::from_str_radix(digits, 16).ok())
        };
        match (text.len(), half(0..16), half(16..32)) {
            (32, Some(first), Some(second)) => Ok(Self(first, second)),
            _ => Err(format!("`{text}` is not a checksum of 32 hexadecimal digits")),
        }
    }
}

impl Serialize for Checksum {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Checksum {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(de::Error::custom)
    }
}

/// SQL for the 64 bits of a row with these columns.
pub(super) fn row_hash(columns: &[Column]) -> String {
    record_hash(columns, COLUMNS_SEED)
}

/// SQL for the 64 bits of a row's key.
pub(super) fn key_hash(columns: &[Column]) -> String {
    record_hash(columns, KEY_SEED)
}

/// SQL for the two sums over a column `h` of row hashes, as text: `concat` asks no cast either.
pub(super) const SUMS: &str = "concat(sum(hashfloat8extended((h >> 11)::float8, 1))), \
                               concat(sum(hashfloat8extended((h & 9007199254740991)::float8, 2)))";

fn record_hash(columns: &[Column], seed: u32) -> String {
    let wide = columns.len() > WIDE;
    let columns: Vec<String> = columns.iter().map(|column| value(column, wide)).collect();
    format!("hash_record_extended(ROW({}), {seed})", columns.join(", "))
}

/// SQL for the hashed form of a column. The cast to the base type takes domains away; it costs nothing otherwise.
fn value(column: &Column, wide: bool) -> String {
    let name = ident(&column.name);
    match column.base.as_str() {
        "boolean" | "smallint" | "integer" | "oid" | "date" | "uuid" | "bytea" => {
            format!("{name}::{}", column.base)
        }
        "bigint" if !wide => {
            format!("({name}::bigint >> 32)::integer, ({name}::bigint & 4294967295)::oid")
        }
        "timestamp without time zone" => format!("timestamp_send({name})"),
        "timestamp with time zone" => format!("timestamptz_send({name})"),
        "real" | "double precision" if !wide => {
            let (number, zero) = (format!("{name}::{}", column.base), text(column));
            format!("{number}, CASE WHEN {number} = '0' THEN {zero} END")
        }
        _ => format!("{} COLLATE \"C\"", text(column)),
    }
}

/// SQL for a column's value as text, in a way that no cast has a say in.
pub(super) fn text(column: &Column) -> String {
    let name = ident(&column.name);
    match column.base.as_str() {
        // The bytes are the text already, and PostgreSQL lets nobody replace these casts.
        "text" | "character varying" => format!("{name}::text"),
        _ => format!("textin({}({name}))", column.output),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_become_32_digits_and_back() {
        let sum = Checksum::from_sums("-1", "18446744073709551616000000000007").unwrap();
        assert_eq!(
            sum.to_string(),
            "ffffffffffffffff".to_owned() + &sum.to_string()[16..]
        );
        assert_eq!(sum.to_string().parse::<Checksum>().unwrap(), sum);
        assert_eq!(
            Checksum::from_sums("5", "18446744073709551621").unwrap(),
            Checksum(5, 5)
        );
        assert!(Checksum::from_sums("1.5", "0").is_none());
        assert!("xyz".parse::<Checksum>().is_err());
    }

    #[test]
    fn parts_add_up() {
        let [a, b, ab] = [("3", "-4"), ("-5", "9"), ("-2", "5")]
            .map(|(first, second)| Checksum::from_sums(first, second).unwrap());
        assert_eq!(a.plus(b), ab);
    }

    #[test]
    fn types_whose_hash_loses_bits_go_in_as_their_output_function_prints_them() {
        let column = |base: &str, output: &str| Column {
            name: "a\"b".to_owned(),
            base: base.to_owned(),
            output: output.to_owned(),
            generated: false,
        };
        for (base, output, expected) in [
            ("integer", "int4out", r#""a""b"::integer"#),
            (
                "bigint",
                "int8out",
                r#"("a""b"::bigint >> 32)::integer, ("a""b"::bigint & 4294967295)::oid"#,
            ),
            (
                "numeric",
                "numeric_out",
                r#"textin(numeric_out("a""b")) COLLATE "C""#,
            ),
            (
                "character",
                "bpcharout",
                r#"textin(bpcharout("a""b")) COLLATE "C""#,
            ),
            ("text", "textout", r#""a""b"::text COLLATE "C""#),
            (
                "public.money2",
                "record_out",
                r#"textin(record_out("a""b")) COLLATE "C""#,
            ),
            (
                "real",
                "float4out",
                r#""a""b"::real, CASE WHEN "a""b"::real = '0' THEN textin(float4out("a""b")) END"#,
            ),
        ] {
            assert_eq!(value(&column(base, output), false), expected);
        }
        for (base, output) in [("real", "float4out"), ("bigint", "int8out")] {
            let one = format!(r#"textin({output}("a""b")) COLLATE "C""#);
            assert_eq!(value(&column(base, output), true), one);
        }
    }
}
