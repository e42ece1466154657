//! Ports of this machine.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::time::Duration;

/// Whether something accepts connections on this host and port within `limit`.
pub fn is_open(host: &str, port: u16, limit: Duration) -> bool {
    let Ok(addresses) = (host, port).to_socket_addrs() else {
        return false;
    };
    addresses
        .into_iter()
        .any(|address| TcpStream::connect_timeout(&address, limit).is_ok())
}

/// Whether we could publish a service on this loopback port now.
pub fn is_free(port: u16) -> bool {
    let loopback = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    TcpListener::bind(loopback).is_ok() && !is_open("127.0.0.1", port, Duration::from_millis(200))
}

/// `count` different ports that were free on loopback a moment ago.
///
/// # Errors
/// When the operating system has no port to give.
pub fn free(count: usize) -> io::Result<Vec<u16>> {
    // All listeners are held until the last is made, so that no port comes twice.
    let listeners: Vec<TcpListener> = (0..count)
        .map(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))
        .collect::<io::Result<_>>()?;
    listeners
        .iter()
        .map(|listener| listener.local_addr().map(|address| address.port()))
        .collect()
}
