//! Checks the host that a request was sent to. A request that is forwarded gets a response of Sentry's API, so a web
//! page in a browser on this machine must not reach it by a name of its own that resolves to a loopback address.

use super::request::{Peer, RequestContext};
use super::response::rejection::Rejection;
use crate::config::Upstream;
use crate::relay::RefusalReason;
use hyper::StatusCode;
use hyper::header::{HOST, HeaderValue};
use hyper::http::request::Parts;

/// Fails if a request names another host than this machine. A client that has connected to another address than a
/// loopback one may use any name, because such a listener was configured, and its names are not known here.
pub(super) fn check(context: &RequestContext<'_>) -> Result<(), Rejection> {
    let head = context.head;
    if head.headers.get_all(HOST).iter().count() > 1 {
        return Err(Rejection::bad_request("several Host headers").for_reason(RefusalReason::ForeignHost));
    }
    let host = head.headers.get(HOST).map(|host| host.to_str().unwrap_or("?"));
    // A request line with a whole URL counts for more than the header (RFC 9112), so both have to name this machine.
    let authority = head.uri.authority().map(hyper::http::uri::Authority::as_str);
    match [host, authority].into_iter().flatten().find(|host| !is_own(host, context.peer)) {
        None => Ok(()),
        Some(host) => {
            let detail =
                "requests are forwarded only if they are sent to localhost by this name or its address";
            let status = StatusCode::MISDIRECTED_REQUEST;
            Err(Rejection::of_host(status, RefusalReason::ForeignHost, host, detail))
        }
    }
}

/// The host that the client has written, for the log.
pub(super) fn written_host(head: &Parts) -> &str {
    head.headers.get(HOST).map(HeaderValue::to_str).and_then(Result::ok).unwrap_or_default()
}

fn is_own(host: &str, peer: Peer) -> bool {
    // HTTP/1.0 knows no host.
    host.is_empty() || !peer.is_on_loopback || names_loopback(host)
}

fn names_loopback(authority: &str) -> bool {
    // A user before the host is not valid in a Host header, and could hide the host that is meant.
    !authority.contains(['@', '/', '?', '#'])
        && Upstream::parse(&format!("http://{authority}")).is_ok_and(|host| host.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_this_machine_are_its_own() {
        let peer = |is_on_loopback| Peer { remote: None, is_on_loopback };
        for host in
            ["", "localhost", "LOCALHOST:5333", "127.0.0.1:1", "[::1]:5333", "app.localhost.", "127.1"]
        {
            assert!(is_own(host, peer(true)), "{host}");
        }
        for host in [
            "evil.example",
            "localhost.evil.example",
            "localhost@evil.example",
            "evil.example@localhost",
            "localhost/@evil.example",
            "127.0.0.1.nip.io",
            "10.0.0.1",
            "?",
            "localhost:99999",
            "localhost, evil.example",
            "localhost evil.example",
        ] {
            assert!(!is_own(host, peer(true)), "{host}");
            assert!(is_own(host, peer(false)), "{host}");
        }
    }
}
