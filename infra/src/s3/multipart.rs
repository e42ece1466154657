//! Objects that come in parts: one request ends at 5 GB, and what has arrived need not be sent again.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::objects::read;
use super::{Body, Client, Location, Reason, S3Error};
use crate::command::{CommandError, Runner};

/// A part that we sent, as we remember it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartSent {
    /// From 1.
    pub number: u32,
    /// Its SHA-256, lower-case hex.
    pub sha256: String,
    /// What the server calls its content.
    pub etag: String,
}

/// A part that the server has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartSeen {
    /// From 1.
    pub number: u32,
    /// What the server calls its content.
    pub etag: String,
    /// Bytes.
    pub size: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Created {
    upload_id: String,
}

#[derive(Deserialize)]
struct Uploaded {
    #[serde(rename = "ETag")]
    etag: String,
}

#[derive(Deserialize)]
struct Parts {
    #[serde(rename = "Parts", default)]
    parts: Option<Vec<PartAnswer>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct PartAnswer {
    part_number: u32,
    #[serde(rename = "ETag")]
    etag: String,
    size: u64,
}

#[derive(Serialize)]
struct Complete<'a> {
    #[serde(rename = "Parts")]
    parts: Vec<CompletePart<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct CompletePart<'a> {
    part_number: u32,
    #[serde(rename = "ETag")]
    etag: &'a str,
    #[serde(rename = "ChecksumSHA256", skip_serializing_if = "Option::is_none")]
    checksum: Option<String>,
}

impl Client {
    /// Begins an object that comes in parts; the answer names the upload. Nobody sees the object before
    /// [`Client::complete`].
    ///
    /// # Errors
    /// Any.
    pub fn begin(
        &self,
        runner: &Runner,
        folder: &Location,
        name: &str,
        sha256: &str,
    ) -> Result<String, S3Error> {
        let key = folder.key(name);
        let what = format!("begin {folder}/{name}");
        let mut cmd = self
            .cmd(&what, ["s3api", "create-multipart-upload"], 0)
            .args(["--bucket", &folder.bucket, "--key", &key])
            .args(["--metadata", &format!("sha256={sha256}")]);
        if self.has_checksums() {
            cmd = cmd.args(["--checksum-algorithm", "SHA256"]);
        }
        let created: Created = read(&what, &runner.run(&self.encryption(cmd))?.stdout)?;
        Ok(created.upload_id)
    }

    /// Sends one part.
    ///
    /// # Errors
    /// Any; sent again, it replaces itself.
    pub fn send_part(
        &self,
        runner: &Runner,
        folder: &Location,
        name: &str,
        upload: &str,
        number: u32,
        body: Body<'_>,
    ) -> Result<PartSent, S3Error> {
        let key = folder.key(name);
        let what = format!("write part {number} of {folder}/{name}");
        let cmd = self
            .cmd(&what, ["s3api", "upload-part"], body.size)
            .args(["--bucket", &folder.bucket, "--key", &key])
            .args(["--upload-id", upload, "--part-number", &number.to_string()])
            .arg("--body")
            .arg(body.path);
        let uploaded: Uploaded = read(&what, &runner.run(&self.checksum(cmd, body.sha256))?.stdout)?;
        Ok(PartSent {
            number,
            sha256: body.sha256.to_owned(),
            etag: uploaded.etag,
        })
    }

    /// The parts that the server has; `None` when it does not know the upload any more.
    ///
    /// # Errors
    /// Any other.
    pub fn parts(
        &self,
        runner: &Runner,
        folder: &Location,
        name: &str,
        upload: &str,
    ) -> Result<Option<Vec<PartSeen>>, S3Error> {
        let key = folder.key(name);
        let what = format!("list the parts of {folder}/{name}");
        let cmd = self.cmd(&what, ["s3api", "list-parts"], 0).args([
            "--bucket",
            &folder.bucket,
            "--key",
            &key,
            "--upload-id",
            upload,
        ]);
        let answer = match runner.run(&cmd).map_err(S3Error::from) {
            Ok(output) => output.stdout,
            Err(error) if error.reason == Reason::NoUpload => return Ok(None),
            Err(error) => return Err(error),
        };
        let parts: Parts = read(&what, &answer)?;
        let seen = parts.parts.into_iter().flatten().map(|part| PartSeen {
            number: part.part_number,
            etag: part.etag,
            size: part.size,
        });
        Ok(Some(seen.collect()))
    }

    /// Puts the parts together: from here on the object is there, whole. `scratch` is a folder for the list of parts.
    ///
    /// # Errors
    /// Any.
    pub fn complete(
        &self,
        runner: &Runner,
        folder: &Location,
        name: &str,
        upload: &str,
        parts: &[PartSent],
        (scratch, if_absent): (&Path, bool),
    ) -> Result<(), S3Error> {
        let key = folder.key(name);
        let what = format!("put {folder}/{name} together");
        let parts = parts.iter().map(|part| CompletePart {
            part_number: part.number,
            etag: &part.etag,
            checksum: self
                .has_checksums()
                .then(|| crate::hash::base64_of_hex(&part.sha256)),
        });
        let document = Complete {
            parts: parts.collect(),
        };
        let io = |source: std::io::Error| CommandError::Io {
            what: what.clone(),
            line: scratch.display().to_string(),
            source,
        };
        // A list of ten thousand parts is longer than a command line may be.
        let mut file = tempfile::Builder::new()
            .prefix(crate::files::TEMPORARY)
            .tempfile_in(scratch)
            .map_err(io)?;
        serde_json::to_writer(&mut file, &document).map_err(|error| io(error.into()))?;
        let cmd = self
            .cmd(&what, ["s3api", "complete-multipart-upload"], 0)
            .args(["--bucket", &folder.bucket, "--key", &key, "--upload-id", upload])
            .args(["--multipart-upload", &format!("file://{}", file.path().display())]);
        self.run_once(runner, cmd, if_absent)
    }

    /// Throws away what was sent of an object that was never put together.
    ///
    /// # Errors
    /// Any; an upload that is not known any more is none.
    pub fn abort(&self, runner: &Runner, folder: &Location, name: &str, upload: &str) -> Result<(), S3Error> {
        let key = folder.key(name);
        let what = format!("throw away the parts of {folder}/{name}");
        let cmd = self.cmd(what, ["s3api", "abort-multipart-upload"], 0).args([
            "--bucket",
            &folder.bucket,
            "--key",
            &key,
            "--upload-id",
            upload,
        ]);
        match runner.run(&cmd).map_err(S3Error::from) {
            Err(error) if error.reason != Reason::NoUpload => Err(error),
            _ => Ok(()),
        }
    }
}
