//! Builds the headers of the requests to upstream from those of the client.

use super::auth::{Auth, AuthError};
use crate::protocol::Encoding;
use hyper::HeaderMap;
use hyper::Uri;
use hyper::header::{
    CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, EXPECT, HOST, HeaderName, HeaderValue,
    ORIGIN, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, REFERER, TE, TRAILER, TRANSFER_ENCODING, UPGRADE,
    USER_AGENT,
};
use std::net::IpAddr;

const X_SENTRY_AUTH: HeaderName = HeaderName::from_static("x-sentry-auth");
const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const ENVELOPE: HeaderValue = HeaderValue::from_static("application/x-sentry-envelope");
const OWN_USER_AGENT: HeaderValue =
    HeaderValue::from_static(concat!("sentry-lambda-extension/", env!("CARGO_PKG_VERSION")));

/// Headers that own their memory. The values of a received request share its read buffer, so one queued value would
/// keep the whole buffer alive.
pub(super) type OwnedHeaders = Vec<(HeaderName, HeaderValue)>;

/// Builds the headers for an envelope. `keep_type` keeps the client's `Content-Type`, for a request that came as an
/// envelope and was not converted to one. Fails if the authentication does not fit into a header.
pub(super) fn for_envelope(
    client_headers: &HeaderMap,
    peer: IpAddr,
    auth: &Auth,
    encoding: Encoding,
    keep_type: bool,
) -> Result<OwnedHeaders, AuthError> {
    let copy_of = |name| client_headers.get(name).map(deep_copy);
    let content_type = copy_of(CONTENT_TYPE).filter(|_| keep_type).unwrap_or(ENVELOPE);
    let mut sent = vec![
        (X_SENTRY_AUTH, HeaderValue::try_from(auth.header()).map_err(|_| AuthError::Malformed)?),
        (USER_AGENT, copy_of(USER_AGENT).unwrap_or(OWN_USER_AGENT)),
        (CONTENT_TYPE, content_type),
    ];
    sent.extend(forwarded_for(client_headers, peer));
    sent.extend(origin(client_headers).map(|value| (ORIGIN, value)));
    sent.extend(encoding.header().map(|name| (CONTENT_ENCODING, HeaderValue::from_static(name))));
    Ok(sent)
}

/// Builds the headers for a request that is forwarded unchanged.
pub(super) fn end_to_end(client_headers: &HeaderMap, peer: IpAddr) -> OwnedHeaders {
    let connection_values: Vec<&str> =
        client_headers.get_all(CONNECTION).iter().filter_map(|value| value.to_str().ok()).collect();
    let is_named = |name: &HeaderName| {
        connection_values
            .iter()
            .flat_map(|names| names.split(','))
            .any(|field| name.as_str().eq_ignore_ascii_case(field.trim()))
    };
    let is_replaced = |name: &HeaderName| [HOST, CONTENT_LENGTH, EXPECT, X_FORWARDED_FOR].contains(name);
    let is_forwarded = |name: &HeaderName| !is_hop_by_hop(name) && !is_replaced(name) && !is_named(name);
    let mut sent: OwnedHeaders = client_headers
        .iter()
        .filter(|(name, _)| is_forwarded(name))
        .filter_map(|(name, value)| {
            // A non-standard name shares the read buffer too, so it is copied like the value.
            Some((HeaderName::from_bytes(name.as_str().as_bytes()).ok()?, deep_copy(value)))
        })
        .collect();
    sent.extend(forwarded_for(client_headers, peer));
    sent
}

/// Whether a header is about one connection only, so that a proxy must not pass it on.
pub(super) fn is_hop_by_hop(name: &HeaderName) -> bool {
    let hop_by_hop = [
        CONNECTION,
        KEEP_ALIVE,
        PROXY_AUTHENTICATE,
        PROXY_AUTHORIZATION,
        TE,
        TRAILER,
        TRANSFER_ENCODING,
        UPGRADE,
    ];
    hop_by_hop.contains(name)
}

fn forwarded_for(client_headers: &HeaderMap, peer: IpAddr) -> Option<(HeaderName, HeaderValue)> {
    let received =
        client_headers.get(X_FORWARDED_FOR).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let chain = if received.is_empty() { peer.to_string() } else { format!("{received}, {peer}") };
    Some((X_FORWARDED_FOR, HeaderValue::try_from(chain).ok()?))
}

/// The address of the page that sends, from `Origin` or else from `Referer`.
fn origin(client_headers: &HeaderMap) -> Option<HeaderValue> {
    [ORIGIN, REFERER].iter().filter_map(|name| client_headers.get(name)?.to_str().ok()).find_map(|text| {
        let page: Uri = text.parse().ok()?;
        matches!(page.scheme_str(), Some("http" | "https")).then_some(())?;
        // Adds the slash of an empty path, as Sentry's Relay does.
        let slash = if page.path_and_query()?.as_str() == "/" && !text.ends_with('/') { "/" } else { "" };
        HeaderValue::try_from(format!("{text}{slash}")).ok()
    })
}

/// Copies a value, so that it does not keep the read buffer alive.
fn deep_copy(value: &HeaderValue) -> HeaderValue {
    HeaderValue::from_bytes(value.as_bytes()).unwrap_or_else(|_| value.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::PublicKey;
    use std::net::Ipv4Addr;

    const PEER: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    fn header_map(headers: &[(&'static str, &'static str)]) -> HeaderMap {
        headers.iter().map(|(n, v)| (HeaderName::from_static(n), HeaderValue::from_static(v))).collect()
    }

    fn get<'a>(sent: &'a OwnedHeaders, name: &str) -> Option<&'a str> {
        sent.iter().find(|(n, _)| n == name).map(|(_, value)| value.to_str().unwrap())
    }

    #[test]
    fn headers_of_an_envelope() {
        let auth = Auth::from_key(PublicKey::parse("a94ae32be2584e0bbd7a4cbb95971fee").unwrap());
        let client_headers = header_map(&[
            ("user-agent", "sdk/1"),
            ("content-type", "text/plain"),
            ("origin", "null"),
            ("referer", "https://page.example"),
            ("x-forwarded-for", "1.2.3.4"),
            ("cookie", "secret"),
        ]);
        let sent = for_envelope(&client_headers, PEER, &auth, Encoding::Gzip, true).unwrap();
        for (name, value) in [
            ("user-agent", Some("sdk/1")),
            ("content-type", Some("text/plain")),
            ("origin", Some("https://page.example/")),
            ("x-forwarded-for", Some("1.2.3.4, 127.0.0.1")),
            ("content-encoding", Some("gzip")),
            ("cookie", None),
        ] {
            assert_eq!(get(&sent, name), value, "{name}");
        }
        let made = for_envelope(&HeaderMap::new(), PEER, &auth, Encoding::Identity, false).unwrap();
        assert_eq!(get(&made, "content-type"), Some("application/x-sentry-envelope"));
        assert_eq!(get(&made, "x-forwarded-for"), Some("127.0.0.1"));
    }

    #[test]
    fn hop_by_hop_headers_are_removed() {
        let client_headers = header_map(&[
            ("host", "localhost:9000"),
            ("connection", "keep-alive, X-Secret"),
            ("x-secret", "1"),
            ("keep-alive", "timeout=5"),
            ("transfer-encoding", "chunked"),
            ("expect", "100-continue"),
            ("content-encoding", "gzip"),
            ("x-own", "2"),
        ]);
        let sent = end_to_end(&client_headers, PEER);
        let names: Vec<&str> = sent.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["content-encoding", "x-own", "x-forwarded-for"]);
    }
}
