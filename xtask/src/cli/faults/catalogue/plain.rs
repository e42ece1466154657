//! Damages of a plain dump that somebody made by hand, before it is restored.

use super::{Act, Fault, Needs, PlainDamage};

const fn damage(name: &'static str, what: &'static str, short: bool, damage: PlainDamage) -> Fault {
    Fault {
        name,
        what,
        needs: Needs::Nothing,
        short,
        act: Act::Plain(damage),
    }
}

pub(super) const FAULTS: [Fault; 7] = [
    damage("plain-half", "a plain dump is cut in half", false, |dump| {
        dump[..dump.len() / 2].to_vec()
    }),
    damage(
        "plain-table",
        "a plain dump is cut after the rows of its first table",
        true,
        |dump| {
            let end = find(dump, b"\n\\.\n").map_or(0, |at| at + 4);
            dump[..end].to_vec()
        },
    ),
    damage(
        "plain-footer",
        "a plain dump lacks its last lines",
        false,
        |dump| {
            let end = find(dump, b"-- PostgreSQL database dump complete").unwrap_or(0);
            dump[..end].to_vec()
        },
    ),
    damage(
        "plain-crlf",
        "a plain dump came through a terminal: CR LF",
        false,
        |dump| {
            dump.split_inclusive(|byte| *byte == b'\n')
                .flat_map(|line| [line.strip_suffix(b"\n").unwrap_or(line), b"\r\n"].concat())
                .collect()
        },
    ),
    damage(
        "plain-utf16",
        "a plain dump was written by PowerShell: UTF-16",
        false,
        |dump| {
            let text = String::from_utf8_lossy(dump).replace('\n', "\r\n");
            let units = text.encode_utf16().flat_map(u16::to_le_bytes);
            [0xff, 0xfe].into_iter().chain(units).collect()
        },
    ),
    damage(
        "plain-joined",
        "something follows the end of a plain dump",
        false,
        |dump| [dump, b"DROP TABLE images CASCADE;\n"].concat(),
    ),
    damage(
        "plain-row",
        "a row of a plain dump has a column too few",
        false,
        |dump| {
            // The first tabulator after the first COPY.
            let copy = find(dump, b"FROM stdin;\n").unwrap_or(0);
            let tab = dump[copy..]
                .iter()
                .position(|byte| *byte == b'\t')
                .map_or(copy, |at| copy + at);
            [&dump[..tab], b" ", &dump[(tab + 1).min(dump.len())..]].concat()
        },
    ),
];

fn find(text: &[u8], part: &[u8]) -> Option<usize> {
    text.windows(part.len()).position(|window| window == part)
}
