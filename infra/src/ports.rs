//! Ports of this machine.

use std::hash::{BuildHasher as _, RandomState};
use std::io;
use std::ops::Range;

use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream, ToSocketAddrs, UdpSocket};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::command::{Cmd, Runner};

/// Whether something accepts connections on this host and port within `limit`.
pub fn is_open(host: &str, port: u16, limit: Duration) -> bool {
    knock(host, port, limit).is_ok()
}

/// Connects to this host and port and hangs up.
///
/// # Errors
/// What the system said of the last of the host's addresses.
pub fn knock(host: &str, port: u16, limit: Duration) -> io::Result<()> {
    let mut last = io::ErrorKind::NotFound.into();
    for address in (host, port).to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, limit) {
            Ok(_) => return Ok(()),
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// Whether a host is this machine: one of its usual names, one of its addresses, or a name without a dot that leads to
/// one of them. Other names are not asked for.
pub fn is_this_machine(host: &str) -> bool {
    let host = host.trim_matches(['[', ']']).to_ascii_lowercase();
    let usual = ["localhost", "host.docker.internal", "gateway.docker.internal"];
    if usual.contains(&host.as_str()) {
        return true;
    }
    // Only an address of this machine can be bound.
    let ours = |address: IpAddr| {
        address.is_loopback() || address.is_unspecified() || UdpSocket::bind((address, 0)).is_ok()
    };
    match host.parse::<IpAddr>() {
        Ok(address) => ours(address),
        Err(_) if host.is_empty() || host.contains('.') => false,
        Err(_) => (host.as_str(), 0)
            .to_socket_addrs()
            .is_ok_and(|mut found| found.any(|address| ours(address.ip()))),
    }
}

/// Whether we could publish a service on this loopback port now.
pub fn is_free(port: u16) -> bool {
    let loopback = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    TcpListener::bind(loopback).is_ok() && !is_open("127.0.0.1", port, Duration::from_millis(200))
}

/// Ports that no outgoing connection is given while nobody listens yet: Linux takes those from 32768 on, macOS and Windows from
/// 49152 on.
const UNHURRIED: Range<u16> = 20_000..32_000;

/// How many of them are tried before the operating system is asked.
const ATTEMPTS: u32 = 200;

/// Names the first one that is tried, counted from the start: worlds of tests that are made at the same time, and whose servers
/// do not run yet, get different ports.
pub const FROM: &str = "XTASK_PORTS_FROM";

/// `count` different ports that were free on loopback a moment ago, and that nothing takes by chance.
///
/// # Errors
/// When the operating system has no port to give.
pub fn free(count: usize) -> io::Result<Vec<u16>> {
    // Two that ask at the same time do not try the same ones.
    let random = RandomState::new();
    let from = std::env::var(FROM).ok().and_then(|from| from.parse::<u32>().ok());
    let candidate = |n: u32| {
        let number = from.map_or_else(|| random.hash_one(n), |from| u64::from(from.wrapping_add(n)));
        let port = u64::from(UNHURRIED.start) + number % u64::from(UNHURRIED.end - UNHURRIED.start);
        u16::try_from(port).ok()
    };
    let closed = |port: &u16| !is_open("127.0.0.1", *port, Duration::from_millis(200));
    let bind = |port| TcpListener::bind((Ipv4Addr::LOCALHOST, port));
    // All listeners are held until the last is made, so that no port comes twice.
    let mut listeners: Vec<TcpListener> = (0..ATTEMPTS)
        .filter_map(candidate)
        .filter(closed)
        .filter_map(|port| bind(port).ok())
        .take(count)
        .collect();
    while listeners.len() < count {
        listeners.push(bind(0)?);
    }
    listeners
        .iter()
        .map(|listener| listener.local_addr().map(|address| address.port()))
        .collect()
}

/// A process that listens on a port.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listener {
    /// Its process id.
    pub pid: u32,
    /// Its program's name; empty when this machine does not tell.
    pub name: String,
}

impl std::fmt::Display for Listener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.name.as_str() {
            "" => write!(f, "pid {}", self.pid),
            name => write!(f, "{name} (pid {})", self.pid),
        }
    }
}

/// The process that listens on a port; `None` when nothing does or this machine does not tell us. Where a parent and
/// its children hold the same socket, as a web server with workers does, it is the parent.
pub fn listener(runner: &Runner, port: u16) -> Option<Listener> {
    if cfg!(windows) {
        let cmd = Cmd::new("netstat", "find who listens").args(["-ano", "-p", "TCP"]);
        let text = runner.run(&cmd).ok()?.stdout_text();
        let pid = text.lines().find_map(|line| {
            let fields: Vec<&str> = line.split_whitespace().collect();
            let listens =
                fields.get(3) == Some(&"LISTENING") && fields.get(1)?.ends_with(&format!(":{port}"));
            listens.then(|| fields.get(4)?.parse().ok()).flatten()
        })?;
        let name = String::new();
        return Some(Listener { pid, name });
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
            "-FpcR",
        ]);
        eldest(lsof_holders(&runner.run(&cmd).ok()?.stdout_text()))
    })
}

/// A process with a socket, and its parent's id.
type Holder = (Listener, u32);

/// The one whose parent does not hold the socket too.
fn eldest(holders: Vec<Holder>) -> Option<Listener> {
    let pids: Vec<u32> = holders.iter().map(|(listener, _)| listener.pid).collect();
    let mut holders = holders.into_iter();
    holders
        .find(|(_, parent)| !pids.contains(parent))
        .map(|(listener, _)| listener)
}

/// `lsof -F` writes one field a line: `p` the process id, `R` its parent's, `c` the program, in this order.
fn lsof_holders(text: &str) -> Vec<Holder> {
    let mut holders: Vec<Holder> = Vec::new();
    for line in text.lines() {
        let (mark, value) = line.split_at_checked(1).unwrap_or((line, ""));
        match (mark, holders.last_mut()) {
            ("p", _) => {
                let Ok(pid) = value.parse() else { continue };
                let name = String::new();
                holders.push((Listener { pid, name }, 0));
            }
            ("R", Some((_, parent))) => *parent = value.parse().unwrap_or(0),
            ("c", Some((listener, _))) => listener.name = value.to_owned(),
            _ => {}
        }
    }
    holders
}

/// Linux lists sockets in /proc/net/tcp and a process's open sockets under /proc/PID/fd.
fn linux_listener(port: u16) -> Option<Listener> {
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
    let holder = |process: std::fs::DirEntry| {
        let pid = process.file_name().into_string().ok()?.parse::<u32>().ok()?;
        let mut open = std::fs::read_dir(process.path().join("fd")).ok()?.flatten();
        open.any(|fd| std::fs::read_link(fd.path()).is_ok_and(|link| link.as_os_str() == socket.as_str()))
            .then(|| {
                let read = |file| std::fs::read_to_string(process.path().join(file)).unwrap_or_default();
                // The fields after the name, which stands in brackets and may hold anything: state, parent.
                let stat = read("stat");
                let parent = stat
                    .rsplit_once(')')
                    .and_then(|(_, rest)| rest.split_whitespace().nth(1)?.parse().ok());
                let name = read("comm").trim().to_owned();
                (Listener { pid, name }, parent.unwrap_or(0))
            })
    };
    let processes = std::fs::read_dir("/proc").ok()?.flatten();
    eldest(processes.filter_map(holder).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_server_and_its_workers_the_server_is_named() {
        let text = "p4711\nR4700\ncPython\np4700\nR1\ncPython\n";
        let found = eldest(lsof_holders(text)).expect("one listens");
        assert_eq!(found.to_string(), "Python (pid 4700)");
        assert_eq!(eldest(lsof_holders("")), None);
    }

    #[test]
    fn free_ports_differ_and_lie_where_no_connection_takes_them() {
        let ports = free(20).expect("ports");
        let different: std::collections::BTreeSet<&u16> = ports.iter().collect();
        assert_eq!(different.len(), 20);
        assert!(ports.iter().all(|port| UNHURRIED.contains(port)), "{ports:?}");
        assert!(ports.iter().all(|port| is_free(*port)));
    }

    #[test]
    fn a_listener_on_this_machine_is_found() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let found = super::listener(&Runner::new(crate::Interrupt::default()), port);
        // Where neither /proc nor lsof is there, nothing is known.
        if cfg!(target_os = "linux") {
            assert_eq!(found.map(|found| found.pid), Some(std::process::id()));
        }
    }
}
