//! SHA-256 as object storage wants it: of what goes by, of a file in pieces, in base64.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;

use crate::files::{TEMPORARY, hex};

/// A piece of a file as a file of its own; removed when dropped.
#[derive(Debug)]
pub struct Piece {
    path: tempfile::TempPath,
    /// SHA-256 of its content, lower-case hex.
    pub sha256: String,
}

impl Piece {
    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// Copies `length` bytes from `start` of a file into a new one in `folder` (0600), for programs that take whole files.
///
/// # Errors
/// Any I/O error; a file that ends earlier is one.
pub fn cut_piece(from: &Path, start: u64, length: u64, folder: &Path) -> io::Result<Piece> {
    use sha2::Digest;
    use std::io::Seek;
    let mut source = File::open(from)?;
    source.seek(io::SeekFrom::Start(start))?;
    let mut source = source.take(length);
    let mut target = tempfile::Builder::new().prefix(TEMPORARY).tempfile_in(folder)?;
    let mut hasher = sha2::Sha256::new();
    let mut buffer = vec![0_u8; 1 << 20];
    let mut copied = 0;
    loop {
        let n = source.read(&mut buffer)?;
        if n == 0 {
            break;
        }
        hasher.update(&buffer[..n]);
        target.write_all(&buffer[..n])?;
        copied += n as u64;
    }
    if copied < length {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(Piece {
        path: target.into_temp_path(),
        sha256: hex(&hasher.finalize()),
    })
}

/// A SHA-256 that is computed while bytes go by.
#[derive(Debug, Default)]
pub struct Sha256Sink(sha2::Sha256);

impl Sha256Sink {
    /// The SHA-256 of everything written, lower-case hex.
    pub fn finish(self) -> String {
        use sha2::Digest;
        hex(&self.0.finalize())
    }
}

impl Write for Sha256Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        use sha2::Digest;
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The SHA-256 of the SHA-256 of each piece of a file: how object storage names an object that came in parts.
///
/// # Errors
/// Any I/O error.
pub fn sha256_of_pieces(path: &Path, piece: u64) -> io::Result<String> {
    use sha2::Digest;
    let mut file = File::open(path)?;
    let mut whole = sha2::Sha256::new();
    loop {
        let mut sink = Sha256Sink::default();
        let n = io::copy(&mut (&mut file).take(piece.max(1)), &mut sink)?;
        if n == 0 {
            return Ok(hex(&whole.finalize()));
        }
        whole.update(sink.0.finalize());
    }
}

/// The bytes that a text in hex stands for, in base64, as object storage spells a checksum.
pub fn base64_of_hex(text: &str) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for chunk in bytes_of_hex(text).chunks(3) {
        let byte = |index: usize| u32::from(chunk.get(index).copied().unwrap_or(0));
        let group = byte(0) << 16 | byte(1) << 8 | byte(2);
        for index in 0..4 {
            let digit = usize::try_from(group >> (18 - 6 * index) & 63).unwrap_or(0);
            // One byte makes two digits, two make three; the rest is filled up.
            out.push(if index <= chunk.len() as u32 {
                char::from(DIGITS[digit])
            } else {
                '='
            });
        }
    }
    out
}

/// Pairs of hex digits as bytes; what is none counts as 0.
fn bytes_of_hex(text: &str) -> Vec<u8> {
    let digit = |c: u8| char::from(c).to_digit(16).unwrap_or(0) as u8;
    text.as_bytes()
        .chunks(2)
        .map(|pair| digit(pair[0]) << 4 | pair.get(1).map_or(0, |c| digit(*c)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::{sha256_bytes, write_private};

    #[test]
    fn hex_becomes_base64_of_every_length() {
        for (hex, base64) in [
            ("", ""),
            ("66", "Zg=="),
            ("666f", "Zm8="),
            ("666f6f", "Zm9v"),
            ("fbff", "+/8="),
        ] {
            assert_eq!(base64_of_hex(hex), base64, "{hex}");
        }
    }

    #[test]
    fn pieces_of_a_file_have_their_own_hashes_and_a_short_file_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let from = dir.path().join("from");
        write_private(&from, b"0123456789").unwrap();
        let piece = cut_piece(&from, 2, 3, dir.path()).unwrap();
        assert_eq!(piece.sha256, sha256_bytes(b"234"));
        assert_eq!(std::fs::read(piece.path()).unwrap(), b"234");
        assert!(cut_piece(&from, 9, 1, dir.path()).is_ok());
        assert!(cut_piece(&from, 9, 2, dir.path()).is_err());
        drop(piece);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_sink_is_hashed_as_its_bytes_and_pieces_as_their_hashes() {
        let mut sink = Sha256Sink::default();
        sink.write_all(b"01234").unwrap();
        sink.write_all(b"56789").unwrap();
        assert_eq!(sink.finish(), sha256_bytes(b"0123456789"));
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        write_private(&path, b"0123456789").unwrap();
        let hashes: Vec<u8> = [&b"0123"[..], b"4567", b"89"]
            .iter()
            .flat_map(|piece| bytes_of_hex(&sha256_bytes(piece)))
            .collect();
        assert_eq!(sha256_of_pieces(&path, 4).unwrap(), sha256_bytes(&hashes));
    }
}
