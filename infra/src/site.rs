//! An application behind an address: `http://` is asked by ourselves, `https://` through the machine's `curl`, which knows
//! the authorities that the system trusts and follows no redirect. The time of every question is bounded.

use std::time::Duration;

use crate::command::{Cmd, Runner};
use crate::http::{self, Answer};

/// What asks `https://` addresses.
pub const PROGRAM: &str = "curl";

/// What comes after the body, on a line of its own.
const STATUS: &str = "\n%{http_code} %{content_type}";

/// An application's address.
#[derive(Clone, Copy, Debug)]
pub struct Site<'a> {
    /// `http://HOST:PORT` or `https://HOST`, with a path before those of the questions, without a slash at the end.
    pub base: &'a str,
    /// Runs curl.
    pub runner: &'a Runner,
}

impl Site<'_> {
    /// Whether an address is asked through [`PROGRAM`].
    pub fn needs_curl(base: &str) -> bool {
        base.starts_with("https://")
    }

    /// Asks `GET`.
    ///
    /// # Errors
    /// A sentence for people when nothing answered in `limit_seconds` or nobody may be believed who did.
    pub fn get(&self, path: &str, limit_seconds: u64) -> Result<Answer, String> {
        match Self::needs_curl(self.base) {
            true => self.curl(get(self.base, path, limit_seconds)),
            false => http::get(&self.url(path), limit_seconds),
        }
    }

    /// Sends JSON with `POST`.
    ///
    /// # Errors
    /// As [`Site::get`].
    pub fn post(&self, path: &str, json: &str, limit_seconds: u64) -> Result<Answer, String> {
        if !Self::needs_curl(self.base) {
            return http::post(&self.url(path), json, limit_seconds);
        }
        let send = [
            "--header",
            "Content-Type: application/json",
            "--data-binary",
            "@-",
        ];
        self.curl(get(self.base, path, limit_seconds).args(send).stdin(json))
    }

    /// Asks `DELETE`.
    ///
    /// # Errors
    /// As [`Site::get`].
    pub fn delete(&self, path: &str, limit_seconds: u64) -> Result<Answer, String> {
        match Self::needs_curl(self.base) {
            true => self.curl(get(self.base, path, limit_seconds).args(["--request", "DELETE"])),
            false => http::delete(&self.url(path), limit_seconds),
        }
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    fn curl(&self, cmd: Cmd) -> Result<Answer, String> {
        let output = self.runner.output(&cmd).map_err(|error| error.to_string())?;
        if !output.success() {
            // `curl: (60) SSL certificate problem: ...`, and then advice that does not fit here.
            let said = output.stderr.lines().find(|line| line.starts_with("curl:"));
            let code = || format!("curl ended with {:?}", output.code);
            return Err(said.map_or_else(code, str::to_owned));
        }
        answer(&output.stdout).ok_or_else(|| "curl did not say what the answer's status is".to_owned())
    }
}

/// The question as a command. The machine's own `.curlrc` is left out: it could switch the certificate's check off.
pub fn get(base: &str, path: &str, limit_seconds: u64) -> Cmd {
    Cmd::new(PROGRAM, format!("ask {base}{path}"))
        .args(["--disable", "--silent", "--show-error", "--globoff"])
        .args(["--proto", "=https", "--max-time"])
        .arg(limit_seconds.to_string())
        .args(["--write-out", STATUS, "--url"])
        .arg(format!("{base}{path}"))
        // Should curl itself hang.
        .limit(Duration::from_secs(limit_seconds + 10))
}

/// What curl printed: the body, and then [`STATUS`].
fn answer(printed: &[u8]) -> Option<Answer> {
    let end = printed.iter().rposition(|byte| *byte == b'\n')?;
    let last = String::from_utf8_lossy(&printed[end + 1..]).into_owned();
    let (status, content_type) = last.split_once(' ').unwrap_or((&last, ""));
    Some(Answer {
        status: status.parse().ok().filter(|status| *status != 0)?,
        content_type: content_type.to_owned(),
        body: String::from_utf8_lossy(&printed[..end]).into_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_stands_behind_the_body_whatever_the_body_holds() {
        let seen = answer(b"{\n\"a\": 1}\n200 text/html\n\n503 application/json; charset=utf-8").unwrap();
        assert_eq!(seen.status, 503);
        assert_eq!(seen.content_type, "application/json; charset=utf-8");
        assert_eq!(seen.body, "{\n\"a\": 1}\n200 text/html\n");
        assert_eq!(answer(b"\n204 ").unwrap().body, "");
    }

    #[test]
    fn what_is_no_answer_is_none() {
        for printed in ["", "200 text/html", "\n000 ", "\n", "body\nOK text/html"] {
            assert!(answer(printed.as_bytes()).is_none(), "{printed:?}");
        }
    }

    #[test]
    fn a_question_keeps_to_tls_checks_the_certificate_follows_nobody_and_ends() {
        let line = get("https://labeler.example", "/health", 20).to_string();
        // First of all arguments, or curl reads its file all the same.
        assert!(line.starts_with("curl --disable "), "{line}");
        assert!(line.contains("--proto =https --max-time 20"), "{line}");
        for word in [" -k", "--insecure", "--location", " -L"] {
            assert!(!line.contains(word), "{line}");
        }
    }
}
