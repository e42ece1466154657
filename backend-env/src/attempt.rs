//! An edit in the making: ways to do it are tried until one reads back as it should.

use std::ops::Range;

use crate::conflict::{Conflict, Reason};
use crate::document::Quote;
use crate::edit::Splice;
use crate::encode::spellings;
use crate::reader::Reader;
use crate::verify::{Before, Failure};

/// A splice with its text.
pub(crate) type Change = (Range<usize>, Vec<u8>);

/// Builds conflicts about one key.
pub(crate) struct Refusal<'a> {
    pub(crate) action: &'static str,
    pub(crate) key: &'a str,
    pub(crate) line: Option<usize>,
}

/// The new bytes, what was replaced, and the keys that follow.
pub(crate) type Verified = (Vec<u8>, Vec<Splice>, Vec<String>);

impl Refusal<'_> {
    pub(crate) fn because(&self, reason: Reason) -> Conflict {
        self.of(Failure {
            readers: Vec::new(),
            reason,
        })
    }

    fn of(&self, failure: Failure) -> Conflict {
        let Failure { readers, reason } = failure;
        Conflict {
            action: self.action,
            key: self.key.to_owned(),
            line: self.line,
            readers,
            reason,
        }
    }

    pub(crate) fn spellings(
        &self,
        value: &[u8],
        quote: Quote,
        readers: &[Reader],
    ) -> Result<Vec<Vec<u8>>, Conflict> {
        if value.iter().any(|b| matches!(b, 0 | b'\r')) {
            return Err(self.of(Failure {
                readers: readers.to_vec(),
                reason: Reason::Forbidden,
            }));
        }
        spellings(value, quote, readers).map_err(|readers| {
            self.of(Failure {
                readers,
                reason: Reason::NoSpelling,
            })
        })
    }

    /// The first of the attempts that reads as it should under every reader.
    pub(crate) fn first_verified(
        &self,
        bytes: &[u8],
        before: &mut Before<'_>,
        attempts: impl IntoIterator<Item = Vec<Change>>,
    ) -> Result<Verified, Conflict> {
        let mut first = None;
        for changes in attempts {
            let edited = apply(bytes, &changes);
            match before.verify(&edited) {
                Ok(follows) => {
                    let splices = changes.into_iter().map(|(old, text)| Splice {
                        old,
                        length: text.len(),
                    });
                    return Ok((edited, splices.collect(), follows));
                }
                Err(failure) => first = first.or(Some(failure)),
            }
        }
        let failure = first.unwrap_or(Failure {
            readers: Vec::new(),
            reason: Reason::NoSpelling,
        });
        Err(self.of(failure))
    }
}

/// `changes` are in the order of the file and do not overlap.
fn apply(bytes: &[u8], changes: &[Change]) -> Vec<u8> {
    let added: usize = changes.iter().map(|(_, text)| text.len()).sum();
    let mut out = Vec::with_capacity(bytes.len() + added);
    let mut copied = 0;
    for (span, text) in changes {
        out.extend_from_slice(&bytes[copied..span.start]);
        out.extend_from_slice(text);
        copied = span.end;
    }
    out.extend_from_slice(&bytes[copied..]);
    out
}
