//! One plain-HTTP question with a time limit. No TLS: production endpoints are asked through `curl` by their step.

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
    let response = minreq::get(url)
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
