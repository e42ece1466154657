//! The application's address with TLS.

use infra::command::Child;
use infra::{Cmd, python};

use super::{MIGRATE, Production};
use crate::address::{Application, Says};
use crate::support::{runner, write};

/// Speaks TLS before a port of this machine, and says which port it listens on itself.
const TERMINATOR: &str = r#"
import socket, ssl, sys, threading
certificate, key, port = sys.argv[1:]
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(certificate, key)

def pump(source, sink):
    try:
        while data := source.recv(65536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        pass

def serve(client):
    try:
        client = context.wrap_socket(client, server_side=True)
        server = socket.create_connection(("127.0.0.1", int(port)))
    except OSError:
        return client.close()
    threading.Thread(target=pump, args=(client, server), daemon=True).start()
    pump(server, client)
    client.close()

listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
while True:
    threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
"#;

/// The application's TLS, with the certificate of the rehearsal's servers: the child and its port.
fn terminate(production: &Production, application: &Application) -> (Child, u16) {
    let base = production.workspace().root.parent().unwrap();
    let script = production.workspace().root.join("terminator.py");
    write(&script, TERMINATOR);
    let python = python::find(&runner()).expect("Python 3 is on this machine");
    let cmd = Cmd::new(python, "speak TLS for the application")
        .arg(script)
        .arg(base.join("instances/server.crt"))
        .arg(base.join("instances/server.key"))
        .arg(application.port.to_string());
    let mut child = runner().spawn(&cmd, None).unwrap();
    let port = child.read_line().unwrap().unwrap().trim().parse().unwrap();
    (child, port)
}

#[test]
#[ignore = "needs PostgreSQL with TLS"]
fn the_application_is_asked_over_tls_with_a_checked_certificate_and_judged_by_its_bodies() {
    let mut production = Production::prepare("address");
    let application = Application::start(Says::Content);
    let (_terminator, port) = terminate(&production, &application);
    let url = format!("https://localhost:{port}/base");
    let workspace = &mut production.rehearsal.workspace;
    workspace.set("profiles.production.application.url", url.as_str());
    workspace.set("profiles.production.application.url-timeout-seconds", 20);
    let health = ["verify", "--scope", "application", "--only", "app.health"];

    // Nobody on this machine trusts that authority yet.
    let foreign = production.xtask(&health);
    assert!(
        foreign.ends(3).stdout.contains("certificate"),
        "{}",
        foreign.all()
    );
    let base = production.workspace().root.parent().unwrap().to_owned();
    let authority = base.join("instances/authority.crt").display().to_string();
    let trusted = ("CURL_CA_BUNDLE".to_owned(), authority);
    production.rehearsal.workspace.env.push(trusted);
    production.xtask(&health).ends(0);
    // Its certificate is for another name.
    let other = format!("application.url=https://127.0.0.1:{port}/base");
    let renamed = production.xtask(&[&health[..], &["--set", &other]].concat());
    assert!(renamed.ends(3).stdout.contains("127.0.0.1"), "{}", renamed.all());
    application.says(Says::Moved);
    let moved = production.xtask(&health);
    assert!(moved.ends(3).stdout.contains("status 302"), "{}", moved.all());

    // Without curl nothing is begun.
    let path = production.workspace().root.join("nothing").display().to_string();
    let workspace = production.workspace();
    for args in [&MIGRATE[..], &["production", "check"]] {
        let cmd = workspace.cmd(&[&super::PROFILE[..], args].concat());
        let bare = crate::support::run(cmd.env("PATH", &path));
        let wanted = format!("application.curl]: nothing asks {url}");
        assert!(bare.all().contains(&wanted), "{}", bare.all());
        assert!(matches!(bare.code, 3 | 20), "{}", bare.all());
    }
    assert_eq!(workspace.runs(), [] as [std::path::PathBuf; 0]);

    application.says(Says::Broken);
    production
        .migrate()
        .ends(21)
        .says("restart the application now")
        .says("GET /health/db: labeler_db is \"error");
    application.says(Says::Content);
    production.xtask(&["migrate", "--resume"]).ends(0);
    let run = production.workspace().runs().pop().unwrap();
    let log = std::fs::read_to_string(run.join("logs/application.log")).unwrap();
    assert!(log.contains("curl --disable"), "{log}");
}
