//! What is done with objects: list, ask, write one, read one, copy folders.

use std::path::Path;

use serde::Deserialize;

use super::{Client, Location, Reason, S3Error};
use crate::command::{Cmd, CommandError, Runner};

/// The one checksum algorithm, by the service's name.
const ALGORITHM: &str = "SHA256";

/// An object in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Name in the folder that was listed.
    pub name: String,
    /// Bytes.
    pub size: u64,
    /// The service's own mark of the content; whoever writes other content changes it.
    pub etag: String,
    /// Whether the service recorded a SHA-256 when it received the object; `None`: its lists do not tell.
    pub has_sha256: Option<bool>,
}

#[derive(Deserialize)]
struct List {
    #[serde(rename = "Contents", default)]
    contents: Option<Vec<Entry>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Entry {
    key: String,
    size: u64,
    #[serde(rename = "ETag")]
    etag: String,
    #[serde(default)]
    checksum_algorithm: Option<Vec<String>>,
}

/// What the service says of an object without sending it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Head {
    /// Bytes; of the first part when that was asked for.
    #[serde(rename = "ContentLength")]
    pub size: u64,
    /// SHA-256 that the service computed when it received the object, in base64; for an object that came in parts, the
    /// SHA-256 of theirs. Some services add a dash and the number of parts, some do not.
    #[serde(rename = "ChecksumSHA256", default)]
    pub checksum: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct PutAnswer {
    #[serde(rename = "ChecksumSHA256", default)]
    checksum: Option<String>,
    #[serde(default)]
    server_side_encryption: Option<String>,
}

impl Client {
    /// Every object in a folder, by name.
    ///
    /// # Errors
    /// When the list cannot be had.
    pub fn list(&self, runner: &Runner, folder: &Location) -> Result<Vec<Listed>, S3Error> {
        let what = format!("list {folder}");
        let start = folder.start();
        let operation = ["s3api", "list-objects-v2"];
        let cmd = self.cmd(&what, operation, 0);
        let answer = runner
            .run(&cmd.args(["--bucket", &folder.bucket, "--prefix", &start]))?
            .stdout;
        // Older clients print nothing at all for an empty folder.
        if answer.iter().all(u8::is_ascii_whitespace) {
            return Ok(Vec::new());
        }
        let entries = read::<List>(&what, &answer)?.contents.unwrap_or_default();
        let tells = entries.iter().any(|entry| entry.checksum_algorithm.is_some());
        let mut listed: Vec<Listed> = entries
            .into_iter()
            .map(|entry| Listed {
                // The console makes an empty object for a folder itself; it then has the empty name.
                name: entry.key.strip_prefix(&start).unwrap_or(&entry.key).to_owned(),
                size: entry.size,
                etag: entry.etag,
                has_sha256: tells.then(|| {
                    let recorded = entry.checksum_algorithm.unwrap_or_default();
                    recorded.iter().any(|name| name == ALGORITHM)
                }),
            })
            .filter(|entry| !entry.name.is_empty())
            .collect();
        listed.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(listed)
    }

    /// What the service says of an object, or of its first part. Ask only for objects that were listed: without the
    /// right to list everything, an absent object is forbidden, not absent.
    ///
    /// # Errors
    /// When there is no answer or no such object.
    pub fn head(
        &self,
        runner: &Runner,
        folder: &Location,
        name: &str,
        first_part: bool,
    ) -> Result<Head, S3Error> {
        let what = format!("look at {folder}/{name}");
        let mut cmd = self
            .object(&what, "head-object", folder, name, 0)
            .args(["--checksum-mode", "ENABLED"]);
        if first_part {
            cmd = cmd.args(["--part-number", "1"]);
        }
        read(&what, &runner.run(&cmd)?.stdout)
    }

    /// Writes one object that must not be there yet, in one request; the service compares what it received with the
    /// SHA-256 (lower-case hex).
    ///
    /// # Errors
    /// [`Reason::Exists`] when it is there, which a lost answer causes too; [`Reason::NotSupported`] when the service
    /// recorded no SHA-256 or did not encrypt as asked, and then the object is there.
    pub fn put_new(
        &self,
        runner: &Runner,
        folder: &Location,
        name: &str,
        file: &Path,
        sha256: &str,
    ) -> Result<(), S3Error> {
        let what = format!("write {folder}/{name}");
        let wanted = crate::hash::base64_of_hex(sha256);
        let mut cmd = self
            .object(&what, "put-object", folder, name, 0)
            .args(["--if-none-match", "*", "--checksum-algorithm", ALGORITHM])
            .args(["--checksum-sha256", &wanted, "--body"])
            .arg(file);
        let encryption = self.options.encryption.names();
        if let Some((name, key)) = encryption {
            cmd = cmd.args(["--server-side-encryption", name]);
            cmd = cmd.args(key.iter().flat_map(|key| ["--ssekms-key-id", key]));
        }
        let answer: PutAnswer = read(&what, &runner.run(&cmd)?.stdout)?;
        let found = answer.server_side_encryption;
        let why = match encryption {
            _ if answer.checksum.as_ref() != Some(&wanted) => {
                "the service did not compute the SHA-256 of what it received".to_owned()
            }
            Some((name, _)) if found.as_deref() != Some(name) => {
                let found = found.as_deref().unwrap_or("nothing");
                format!("the service encrypted it with {found} instead of {name}")
            }
            _ => return Ok(()),
        };
        Err(S3Error {
            reason: Reason::NotSupported,
            error: CommandError::Unreadable { what, why },
        })
    }

    /// The content of an object of this size, in memory: for small ones.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn read(
        &self,
        runner: &Runner,
        folder: &Location,
        name: &str,
        size: u64,
    ) -> Result<Vec<u8>, S3Error> {
        let what = format!("read {folder}/{name}");
        let io = |source| CommandError::Io {
            what: what.clone(),
            line: "a temporary folder".to_owned(),
            source,
        };
        let scratch = tempfile::tempdir().map_err(io)?;
        let file = scratch.path().join("object");
        runner.run(&self.object(&what, "get-object", folder, name, size).arg(&file))?;
        Ok(std::fs::read(&file).map_err(io)?)
    }

    /// Copies every file of a local folder, of this many bytes together, into a folder of the storage, several at the same
    /// time; the service compares what it receives with its SHA-256. What is there under the same name is replaced.
    ///
    /// # Errors
    /// When anything was not copied; what was, is there.
    pub fn upload(&self, runner: &Runner, from: &Path, folder: &Location, bytes: u64) -> Result<(), S3Error> {
        let mut cmd = self
            .copy(format!("upload to {folder}"), bytes)
            .args(["--checksum-algorithm", ALGORITHM]);
        if let Some((name, key)) = self.options.encryption.names() {
            cmd = cmd.args(["--sse", name]);
            cmd = cmd.args(key.iter().flat_map(|key| ["--sse-kms-key-id", key]));
        }
        Ok(runner.run(&cmd.arg(from).arg(format!("{folder}/"))).map(drop)?)
    }

    /// Copies a whole folder of this many bytes into a local one, several objects at the same time. The client compares
    /// what came in one piece with the recorded checksum; the rest is the caller's to compare.
    ///
    /// # Errors
    /// When anything cannot be copied; part of it may be there then.
    pub fn download(&self, runner: &Runner, folder: &Location, to: &Path, bytes: u64) -> Result<(), S3Error> {
        let cmd = self
            .copy(format!("download {folder}"), bytes)
            .args(["--checksum-mode", "ENABLED"])
            .arg(format!("{folder}/"))
            .arg(to);
        Ok(runner.run(&cmd).map(drop)?)
    }

    fn copy(&self, what: String, bytes: u64) -> Cmd {
        self.cmd(what, ["s3", "cp"], bytes)
            .args(["--recursive", "--only-show-errors"])
    }

    fn object(&self, what: &str, operation: &str, folder: &Location, name: &str, bytes: u64) -> Cmd {
        self.cmd(what, ["s3api", operation], bytes).args([
            "--bucket",
            &folder.bucket,
            "--key",
            &folder.key(name),
        ])
    }
}

/// An answer of the client as what it should be.
fn read<T: serde::de::DeserializeOwned>(what: &str, answer: &[u8]) -> Result<T, S3Error> {
    serde_json::from_slice(answer).map_err(|error| {
        S3Error::from(CommandError::Unreadable {
            what: what.to_owned(),
            why: format!("the aws client's answer cannot be understood: {error}"),
        })
    })
}
