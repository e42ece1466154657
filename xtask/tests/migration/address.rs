//! The application at an address: it runs elsewhere, and people restart it.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use super::support::Rehearsal;

/// What it answers.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Says {
    /// Nothing: it takes the question and keeps the connection open, as a network that swallows everything.
    Nothing,
    /// That everything is well.
    Content,
    /// 200, and in the body that a database is not there.
    Broken,
    /// That everything is well somewhere else.
    Moved,
}

/// An application that says what it is told to. It ends with the test program.
pub struct Application {
    /// Its port on loopback.
    pub port: u16,
    says: Arc<Mutex<Says>>,
}

impl Application {
    /// One that says this.
    pub fn start(says: Says) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let application = Self {
            port: listener.local_addr().unwrap().port(),
            says: Arc::new(Mutex::new(says)),
        };
        let says = Arc::clone(&application.says);
        std::thread::spawn(move || {
            let mut kept = Vec::new();
            for stream in listener.incoming().flatten() {
                let says = *says.lock().unwrap();
                match says {
                    Says::Nothing => kept.push(stream),
                    says => drop(answer(stream, says)),
                }
            }
        });
        application
    }

    /// From now on it says this.
    pub fn says(&self, says: Says) {
        *self.says.lock().unwrap() = says;
    }
}

fn answer(mut stream: TcpStream, says: Says) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    let first = lines.next().transpose()?.unwrap_or_default();
    while lines.next().transpose()?.is_some_and(|line| !line.is_empty()) {}
    let labeler = match says {
        Says::Broken => "error: the database does not accept connections",
        _ => "connected",
    };
    let databases = format!(r#"{{"platform_db":"connected","labeler_db":"{labeler}"}}"#);
    let (kind, body) = match first.split(' ').nth(1).unwrap_or_default() {
        "/base/health" => ("application/json", r#"{"status":"healthy"}"#),
        "/base/health/db" => ("application/json", databases.as_str()),
        "/base/docs" => ("text/html; charset=utf-8", "<html>"),
        _ => ("text/plain", ""),
    };
    let status = match (body, says) {
        ("", _) => "404 Not Found",
        (_, Says::Moved) => "302 Found\r\nLocation: /base/docs",
        _ => "200 OK",
    };
    let length = body.len();
    write!(
        stream,
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    )
}

#[test]
fn the_application_is_asked_at_its_address_until_it_is_content_and_nothing_is_started() {
    let application = Application::start(Says::Nothing);
    let mut rehearsal = Rehearsal::local("address");
    let url = format!("http://127.0.0.1:{}/base", application.port);
    rehearsal.workspace.set("application.url", format!("{url}/"));
    rehearsal.workspace.set("application.url-timeout-seconds", 5);
    let workspace = &rehearsal.workspace;

    // A network that swallows everything ends the step by its limit; unbounded, the test's own limit would end it.
    let failed = workspace.xtask(&["migrate", "--yes"]);
    failed
        .ends(21)
        .says(&format!(
            "restart the application now, so that it reads the new .env; {url} is asked"
        ))
        .says(&format!(
            "{url} is not content within 5s; the last answer: GET /health gets no answer"
        ))
        .says("hint: restart the application, then: cargo xtask migrate --resume ")
        .says("the target is in use");

    // 200, and a body that tells: not restarted, or restarted with the wrong values.
    application.says(Says::Broken);
    let health = ["verify", "--scope", "application", "--only", "app.health"];
    workspace
        .xtask(&["migrate", "--resume"])
        .ends(21)
        .says("GET /health/db: labeler_db is \"error: the database does not accept connections\"");
    let verified = workspace.xtask(&health);
    assert!(
        verified.ends(3).stdout.contains("labeler_db"),
        "{}",
        verified.all()
    );

    application.says(Says::Content);
    workspace.xtask(&["migrate", "--resume"]).ends(0);
    workspace.xtask(&health).ends(0);
    let output = workspace.runs()[0].join("logs/application-output.log");
    assert!(!output.exists(), "an application was started here");

    // Going back is done whatever it says, and waits for nobody.
    application.says(Says::Broken);
    workspace
        .xtask(&["rollback", "--yes"])
        .ends(22)
        .says(&format!(
            "warning: the application at {url} does not work: GET /health/db: labeler_db"
        ))
        .says("restart it wherever it runs");
}
