//! A server between client and S3 that fails when it is told to.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};

/// What happens to the requests that write an object or a part, or put parts together, from this one on (the first is 1).
#[derive(Clone, Copy)]
pub enum Fault {
    /// The connection is closed, and so is every later one.
    Stop(usize),
    /// It gets no answer while the proxy lives.
    Hold(usize),
}

struct State {
    upstream: String,
    fault: Mutex<Option<Fault>>,
    writes: AtomicUsize,
    stopped: AtomicBool,
    held: Mutex<Sender<TcpStream>>,
}

/// A running proxy.
pub struct Proxy {
    /// Its address.
    pub url: String,
    /// Connections that it holds: receiving one means that a write is in the middle.
    pub held: Receiver<TcpStream>,
    state: Arc<State>,
}

impl Proxy {
    /// Before this server, `http://host:port`.
    #[track_caller]
    pub fn start(upstream: &str, fault: Fault) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (sender, held) = channel();
        let state = Arc::new(State {
            upstream: upstream.trim_start_matches("http://").to_owned(),
            fault: Mutex::new(Some(fault)),
            writes: AtomicUsize::new(0),
            stopped: AtomicBool::new(false),
            held: Mutex::new(sender),
        });
        // It ends with the test program: nobody but the test's own children knows its port.
        let serving = Arc::clone(&state);
        std::thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                let state = Arc::clone(&serving);
                std::thread::spawn(move || state.serve(connection));
            }
        });
        Self { url, held, state }
    }

    /// From now on this happens, or nothing; writes are counted anew.
    pub fn becomes(&self, fault: Option<Fault>) {
        *self.state.fault.lock().unwrap() = fault;
        self.state.writes.store(0, Ordering::SeqCst);
        self.state.stopped.store(false, Ordering::SeqCst);
    }
}

impl State {
    fn serve(&self, mut client: TcpStream) -> Option<()> {
        let mut head = Vec::new();
        let mut byte = [0];
        while !head.ends_with(b"\r\n") {
            client.read_exact(&mut byte).ok()?;
            head.push(byte[0]);
        }
        let line = String::from_utf8_lossy(&head).into_owned();
        // Also what puts the parts of an object together.
        let is_write = line.starts_with("PUT ") || (line.starts_with("POST ") && line.contains("uploadId="));
        let number = if is_write {
            self.writes.fetch_add(1, Ordering::SeqCst) + 1
        } else {
            0
        };
        let fault = *self.fault.lock().ok()?;
        match fault {
            Some(Fault::Stop(from)) if number >= from => self.stopped.store(true, Ordering::SeqCst),
            Some(Fault::Hold(from)) if number >= from => {
                let sender = self.held.lock().ok()?;
                return sender.send(client).ok();
            }
            _ => {}
        }
        if self.stopped.load(Ordering::SeqCst) {
            return client.shutdown(Shutdown::Both).ok();
        }
        let mut server = TcpStream::connect(&self.upstream).ok()?;
        server.write_all(&head).ok()?;
        let (mut from, mut to) = (client.try_clone().ok()?, server.try_clone().ok()?);
        std::thread::spawn(move || {
            let _ = std::io::copy(&mut from, &mut to);
            let _ = to.shutdown(Shutdown::Write);
        });
        let _ = std::io::copy(&mut server, &mut client);
        client.shutdown(Shutdown::Both).ok()
    }
}
