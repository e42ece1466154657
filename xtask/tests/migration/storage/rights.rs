//! The rights that docs/storage.md asks for are enough, and fewer are refused by name.

use super::stage::{Stage, start_server};
use crate::support::{Ran, write};

const RUN: &str = "20261209_141502_3fa9";

/// The first JSON document of docs/storage.md.
fn policy(bucket: &str) -> String {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/storage.md");
    let text = std::fs::read_to_string(path).unwrap();
    let json = text
        .split("```json\n")
        .nth(1)
        .and_then(|rest| rest.split("```").next());
    json.unwrap().replace("BUCKET", bucket)
}

fn text(ran: &Ran, path: &str) -> String {
    let document = ran.ends(0).json();
    document.pointer(path).unwrap().as_str().unwrap().to_owned()
}

#[test]
fn the_documented_rights_are_enough_and_without_them_nothing_is_sent() {
    let server = start_server();
    let mut stage = Stage::at("rights", &server.url);
    stage.backup(RUN);
    stage
        .aws(&["s3api", "create-bucket", "--bucket", &stage.bucket])
        .ends(0);
    let login = |stage: &Stage, name: &str, policy: Option<&str>| {
        stage.aws(&["iam", "create-user", "--user-name", name]).ends(0);
        if let Some(policy) = policy {
            let file = stage.root.join("policy.json");
            write(&file, policy);
            let file = format!("file://{}", file.display());
            let put = [
                "iam",
                "put-user-policy",
                "--user-name",
                name,
                "--policy-name",
                "p",
            ];
            stage
                .aws(&[&put[..], &["--policy-document", &file]].concat())
                .ends(0);
        }
        let key = stage.aws(&["iam", "create-access-key", "--user-name", name]);
        [
            (
                "AWS_ACCESS_KEY_ID".to_owned(),
                text(&key, "/AccessKey/AccessKeyId"),
            ),
            (
                "AWS_SECRET_ACCESS_KEY".to_owned(),
                text(&key, "/AccessKey/SecretAccessKey"),
            ),
        ]
    };
    let nobody = login(&stage, "nobody", None);
    let keeper = login(&stage, "keeper", Some(&policy(&stage.bucket)));
    // From here on the server asks who is there.
    enforce(&server.url);

    stage.env.extend(nobody);
    stage
        .xtask(&["backup", "upload", RUN])
        .ends(20)
        .says("error[storage.forbidden]")
        .says("docs/storage.md");
    stage.env.extend(keeper);
    let address = stage
        .xtask(&["backup", "upload", RUN])
        .ends(0)
        .stdout
        .trim()
        .to_owned();
    stage.xtask(&["backup", "verify", &address, "--full"]).ends(0);
    stage.xtask(&["backup", "list", "s3://"]).ends(0);
    let down = stage.root.join("down").display().to_string();
    stage.xtask(&["backup", "download", &address, &down]).ends(0);
    // Not even the keeper removes a backup.
    let key = format!("labeler/20261209/{RUN}/complete.json");
    let ran = stage.aws(&["s3api", "delete-object", "--bucket", &stage.bucket, "--key", &key]);
    assert!(
        ran.code != 0 && ran.stderr.contains("AccessDenied"),
        "{}",
        ran.all()
    );
    stage
        .env
        .push(("AWS_SECRET_ACCESS_KEY".to_owned(), "wrong".to_owned()));
    stage
        .xtask(&["backup", "verify", &address])
        .ends(20)
        .says("error[storage.credentials]");
}

/// Every further request needs a login with rights.
fn enforce(url: &str) {
    use std::io::{Read, Write};
    let host = url.trim_start_matches("http://");
    let mut stream = std::net::TcpStream::connect(host).unwrap();
    let body = "0";
    write!(
        stream,
        "POST /moto-api/reset-auth HTTP/1.0\r\nHost: {host}\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.contains(" 200 "), "{answer}");
}
