//! SHA-256 as object storage spells it: of a file in pieces, in base64.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use sha2::Digest;

use crate::files::hex;

/// The SHA-256 of the SHA-256 of each piece of a file: how object storage names an object that came in parts.
///
/// # Errors
/// Any I/O error.
pub fn sha256_of_pieces(path: &Path, piece: u64) -> io::Result<String> {
    let mut file = File::open(path)?;
    let mut whole = sha2::Sha256::new();
    loop {
        let mut one = sha2::Sha256::new();
        if io::copy(&mut (&mut file).take(piece.max(1)), &mut one)? == 0 {
            return Ok(hex(&whole.finalize()));
        }
        whole.update(one.finalize());
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
    fn a_file_in_pieces_is_hashed_as_the_hashes_of_its_pieces() {
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
