//! A `.env` file as a lossless document that every reader agrees on.
//!
//! There is no standard for `.env` files: python-dotenv and Docker Compose each read their own language. "The value of a line" is
//! therefore a question about a [`Reader`], and this crate answers it with a model of each reader.
//!
//! A [`Document`] keeps the bytes of the file and a gap-free list of spans. An edit is a splice: the bytes of
//! the value change and nothing else does - comments, spacing, `export`, quotes, line endings, a byte order mark
//! and a missing final newline stay. Before an edit is kept, the result is read back under every reader that was
//! asked for; what cannot be written for all of them is a [`Conflict`], never a best effort.
//!
//! ```
//! use backend_env::{Document, Reader};
//!
//! let mut doc = Document::parse("# the old server\r\nexport DB_URL='postgres://old'  # local\r\n");
//! doc.set("DB_URL", "postgres://new?a=1&b=2", &[Reader::PythonDotenv, Reader::Compose])?;
//! assert_eq!(
//!     doc.as_bytes(),
//!     b"# the old server\r\nexport DB_URL='postgres://new?a=1&b=2'  # local\r\n"
//! );
//! # Ok::<(), backend_env::Conflict>(())
//! ```
//!
//! Values never appear in an error, a `Debug` or a masked [`Diff`]; keys and line numbers do.

mod attempt;
mod conflict;
mod diff;
mod disagree;
mod document;
mod edit;
mod encode;
pub mod file;
mod model;
mod myers;
mod reader;
mod reading;
mod scan;
mod style;
mod verify;

pub use conflict::{Conflict, Reason};
pub use diff::Diff;
pub use disagree::Disagreement;
pub use document::{Document, Entry, Quote};
pub use edit::{Edit, Place, Splice};
pub use reader::{Environment, Reader, UnknownReader};
pub use reading::{Note, Reading, Readings, Rejection};
