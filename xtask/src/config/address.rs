//! What is wrong with an address that settings name.

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wrong {
    /// It holds a login. It must not be repeated.
    Login,
    /// It is no `https://HOST` or `http://HOST`.
    Form,
    /// It is not encrypted on its way to another machine.
    Plain,
}

/// Looks at an address; an empty one is none.
pub(super) fn address(url: &str, allow_plain: bool) -> Option<Wrong> {
    if url.is_empty() {
        return None;
    }
    let (scheme, rest) = url.split_once("://").unwrap_or_default();
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if authority.contains('@') {
        return Some(Wrong::Login);
    }
    if !matches!(scheme, "http" | "https") || authority.is_empty() {
        return Some(Wrong::Form);
    }
    (scheme == "http" && !is_loopback(authority) && !allow_plain).then_some(Wrong::Plain)
}

/// Whether a host with or without a port is this machine.
fn is_loopback(authority: &str) -> bool {
    let host = match authority.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => authority.split(':').next().unwrap_or_default(),
    };
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}
