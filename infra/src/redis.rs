//! Redis, as far as one `PING` goes.

use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

/// What answered a `PING`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pong {
    /// `+PONG`: a Redis that serves us.
    Pong,
    /// A Redis that wants a password first (`-NOAUTH`).
    NeedsPassword,
    /// Something else listens on this port; its first line.
    Other(String),
}

/// Sends `PING` as an inline command over TCP.
///
/// # Errors
/// When nothing accepts the connection or answers within `limit`.
pub fn ping(host: &str, port: u16, limit: Duration) -> io::Result<Pong> {
    let address = (host, port)
        .to_socket_addrs()?
        .find(|a| a.is_ipv4())
        .ok_or_else(|| io::Error::new(io::ErrorKind::AddrNotAvailable, "host has no IPv4 address"))?;
    let mut stream = TcpStream::connect_timeout(&address, limit)?;
    stream.set_read_timeout(Some(limit))?;
    stream.set_write_timeout(Some(limit))?;
    stream.write_all(b"PING\r\n")?;
    let mut answer = Vec::new();
    let mut buffer = [0_u8; 256];
    while !answer.ends_with(b"\n") && answer.len() < 1024 {
        let n = stream.read(&mut buffer)?;
        if n == 0 {
            break;
        }
        answer.extend_from_slice(&buffer[..n]);
    }
    let line = String::from_utf8_lossy(&answer).trim().to_owned();
    Ok(match line.as_str() {
        "+PONG" => Pong::Pong,
        other if other.starts_with("-NOAUTH") => Pong::NeedsPassword,
        other => Pong::Other(other.to_owned()),
    })
}
