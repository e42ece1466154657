//! Whether a PostgreSQL server is at an address, without a role or a client program.

use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

/// `SSLRequest` of PostgreSQL's protocol: every server answers it with one letter before anybody logs in.
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];

/// Whether a PostgreSQL server answers on this host and port within `limit`. Something that only accepts the connection, as
/// Docker's proxy does for a container whose server is down, is none.
pub fn answers(host: &str, port: u16, limit: Duration) -> bool {
    let Ok(mut addresses) = (host, port).to_socket_addrs() else {
        return false;
    };
    addresses.any(|address| ask(&address, limit).unwrap_or(false))
}

fn ask(address: &std::net::SocketAddr, limit: Duration) -> io::Result<bool> {
    let mut stream = TcpStream::connect_timeout(address, limit)?;
    stream.set_read_timeout(Some(limit))?;
    stream.write_all(&SSL_REQUEST)?;
    let mut letter = [0];
    stream.read_exact(&mut letter)?;
    Ok(matches!(letter[0], b'S' | b'N'))
}
