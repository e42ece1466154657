//! Ports of this machine.

use std::io;

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::time::Duration;

use crate::command::{Cmd, Runner};

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

/// The process that listens on a port, as `NAME (pid N)`; `None` when this machine does not tell us.
pub fn listener(runner: &Runner, port: u16) -> Option<String> {
    if cfg!(windows) {
        let cmd = Cmd::new("netstat", "find who listens").args(["-ano", "-p", "TCP"]);
        let text = runner.run(&cmd).ok()?.stdout_text();
        let pid = text.lines().find_map(|line| {
            let fields: Vec<&str> = line.split_whitespace().collect();
            let listens =
                fields.get(3) == Some(&"LISTENING") && fields.get(1)?.ends_with(&format!(":{port}"));
            listens.then(|| fields.get(4).map(ToString::to_string)).flatten()
        })?;
        return Some(format!("(pid {pid})"));
    }
    let from_proc = if cfg!(target_os = "linux") {
        linux_listener(port)
    } else {
        None
    };
    from_proc.or_else(|| {
        let cmd = Cmd::new("lsof", "find who listens").args([
            "-nP",
            &format!("-iTCP:{port}"),
            "-sTCP:LISTEN",
            "-Fpc",
        ]);
        let text = runner.run(&cmd).ok()?.stdout_text();
        let field = |mark: char| {
            text.lines()
                .find_map(|line| line.strip_prefix(mark))
                .map(str::to_owned)
        };
        Some(format!("{} (pid {})", field('c')?, field('p')?))
    })
}

/// Linux lists sockets in /proc/net/tcp and a process's open sockets under /proc/PID/fd.
fn linux_listener(port: u16) -> Option<String> {
    let wanted = format!(":{port:04X}");
    let inode = ["/proc/net/tcp", "/proc/net/tcp6"].iter().find_map(|table| {
        let text = std::fs::read_to_string(table).ok()?;
        text.lines().find_map(|line| {
            let fields: Vec<&str> = line.split_whitespace().collect();
            let listens = fields.get(3) == Some(&"0A") && fields.get(1)?.ends_with(&wanted);
            listens.then(|| fields.get(9).map(ToString::to_string)).flatten()
        })
    })?;
    let socket = format!("socket:[{inode}]");
    std::fs::read_dir("/proc").ok()?.flatten().find_map(|process| {
        let pid = process.file_name().into_string().ok()?.parse::<u32>().ok()?;
        let mut open = std::fs::read_dir(process.path().join("fd")).ok()?.flatten();
        open.any(|fd| std::fs::read_link(fd.path()).is_ok_and(|link| link.as_os_str() == socket.as_str()))
            .then(|| {
                let name = std::fs::read_to_string(process.path().join("comm")).unwrap_or_default();
                format!("{} (pid {pid})", name.trim())
            })
    })
}
