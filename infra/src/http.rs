//! One plain-HTTP question with a time limit. No TLS: [`crate::site`] asks `https://` through `curl`.

/// An answer: the status *and* the body, because the application says 200 when a database is down.
#[derive(Debug, Clone)]
pub struct Answer {
    /// HTTP status code.
    pub status: u16,
    /// `Content-Type`, empty when absent.
    pub content_type: String,
    /// The body as text.
    pub body: String,
}

/// Asks `GET url`.
///
/// # Errors
/// A sentence for people when nothing answered in `limit_seconds` or the answer was not HTTP.
pub fn get(url: &str, limit_seconds: u64) -> Result<Answer, String> {
    send(minreq::get(url), limit_seconds)
}

/// Sends JSON with `POST url`.
///
/// # Errors
/// As [`get`].
pub fn post(url: &str, json: &str, limit_seconds: u64) -> Result<Answer, String> {
    let request = minreq::post(url).with_header("Content-Type", "application/json");
    send(request.with_body(json), limit_seconds)
}

/// Asks `DELETE url`.
///
/// # Errors
/// As [`get`].
pub fn delete(url: &str, limit_seconds: u64) -> Result<Answer, String> {
    send(minreq::delete(url), limit_seconds)
}

fn send(request: minreq::Request, limit_seconds: u64) -> Result<Answer, String> {
    let response = request
        .with_timeout(limit_seconds)
        .send()
        .map_err(|error| error.to_string())?;
    let content_type = response.headers.get("content-type").cloned().unwrap_or_default();
    let status = u16::try_from(response.status_code).map_err(|_| "not an HTTP status".to_owned())?;
    let body = String::from_utf8_lossy(response.as_bytes()).into_owned();
    Ok(Answer {
        status,
        content_type,
        body,
    })
}
