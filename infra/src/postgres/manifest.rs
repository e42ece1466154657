//! What is true of a database's data and schema, taken in one snapshot, and the comparison of two such answers.
//!
//! [`collect()`] asks; [`compare()`] is pure and says every difference in a sentence; [`examples()`] looks for the keys behind
//! a difference while both databases are there, [`examples_of_archive()`] when only the archive is left. No row leaves the
//! server except keys that are asked for.
//! How rows become a checksum, and why that is the same on every version, stands in [`checksum`].

mod answers;
mod archived;
mod buckets;
pub mod checksum;
mod collect;
mod compare;
mod examples;
mod facts;
mod normalise;
mod options;
mod plan;
mod relation;
mod schema;
pub(super) mod session;
mod watch;

pub use archived::{Archived, examples_of_archive};
pub use buckets::{Bucket, Buckets, KeyRange};
pub use checksum::Checksum;
pub(super) use collect::collect_inside;
pub use collect::{TableProgress, collect};
pub use compare::{CompareOptions, Difference, compare};
pub use examples::{Example, Examples, State, examples};
pub use facts::{
    DatabaseManifest, LargeObjects, ObjectFacts, SchemaFacts, SequenceFacts, TableFacts, TableKind,
};
pub use options::{UnknownOptions, options_not_compared};
pub use relation::shown as display_name;

/// Number of the checksum's and the document's form. Manifests of different forms cannot be compared.
///
/// 2: values as the output function of their type prints them, the sign of zero, more about objects of rare kinds, and
/// owners and privileges of large objects.
pub const FORMAT: u32 = 2;

/// The oldest major version that can be asked: `hash_record_extended` and ctid range scans came with it.
pub const OLDEST_MAJOR: u32 = 14;
