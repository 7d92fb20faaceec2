//! The headers that go upstream with what a client sent.

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
const OURSELVES: HeaderValue =
    HeaderValue::from_static(concat!("sentry-lambda-extension/", env!("CARGO_PKG_VERSION")));

/// Headers with memory of their own: those of a request share its whole read buffer.
pub(super) type Owned = Vec<(HeaderName, HeaderValue)>;

/// Headers for an envelope that came as one (`keep_type`), or was made of something else.
pub(super) fn for_envelope(
    came: &HeaderMap,
    peer: IpAddr,
    auth: &Auth,
    encoding: Encoding,
    keep_type: bool,
) -> Result<Owned, AuthError> {
    let kept = |name| came.get(name).map(copied);
    let content_type = kept(CONTENT_TYPE).filter(|_| keep_type).unwrap_or(ENVELOPE);
    let mut sent = vec![
        (X_SENTRY_AUTH, HeaderValue::try_from(auth.header()).map_err(|_| AuthError::Malformed)?),
        (USER_AGENT, kept(USER_AGENT).unwrap_or(OURSELVES)),
        (CONTENT_TYPE, content_type),
    ];
    sent.extend(forwarded_for(came, peer));
    sent.extend(origin(came).map(|value| (ORIGIN, value)));
    sent.extend(encoding.header().map(|name| (CONTENT_ENCODING, HeaderValue::from_static(name))));
    Ok(sent)
}

/// Headers for a request that goes on as it came.
pub(super) fn end_to_end(came: &HeaderMap, peer: IpAddr) -> Owned {
    let named: Vec<&str> = came.get_all(CONNECTION).iter().filter_map(|value| value.to_str().ok()).collect();
    let named = |name: &HeaderName| {
        named
            .iter()
            .flat_map(|names| names.split(','))
            .any(|one| name.as_str().eq_ignore_ascii_case(one.trim()))
    };
    let not_ours = |name: &HeaderName| [HOST, CONTENT_LENGTH, EXPECT, X_FORWARDED_FOR].contains(name);
    let goes_on = |name: &HeaderName| !is_hop_by_hop(name) && !not_ours(name) && !named(name);
    let mut sent: Owned = came
        .iter()
        .filter(|(name, _)| goes_on(name))
        .filter_map(|(name, value)| {
            // A name that is not one of the standard ones shares the buffer too.
            Some((HeaderName::from_bytes(name.as_str().as_bytes()).ok()?, copied(value)))
        })
        .collect();
    sent.extend(forwarded_for(came, peer));
    sent
}

/// Whether a header speaks of one connection only.
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

fn forwarded_for(came: &HeaderMap, peer: IpAddr) -> Option<(HeaderName, HeaderValue)> {
    let before = came.get(X_FORWARDED_FOR).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let chain = if before.is_empty() { peer.to_string() } else { format!("{before}, {peer}") };
    Some((X_FORWARDED_FOR, HeaderValue::try_from(chain).ok()?))
}

/// The page that sends: from `Origin`, else from `Referer`.
fn origin(came: &HeaderMap) -> Option<HeaderValue> {
    [ORIGIN, REFERER].iter().filter_map(|name| came.get(name)?.to_str().ok()).find_map(|text| {
        let page: Uri = text.parse().ok()?;
        matches!(page.scheme_str(), Some("http" | "https")).then_some(())?;
        // As a URL is written in full: Relay sends it so, too.
        let slash = if page.path_and_query()?.as_str() == "/" && !text.ends_with('/') { "/" } else { "" };
        HeaderValue::try_from(format!("{text}{slash}")).ok()
    })
}

/// A value with memory of its own.
fn copied(value: &HeaderValue) -> HeaderValue {
    HeaderValue::from_bytes(value.as_bytes()).unwrap_or_else(|_| value.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::PublicKey;
    use std::net::Ipv4Addr;

    const PEER: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    fn came(headers: &[(&'static str, &'static str)]) -> HeaderMap {
        headers.iter().map(|(n, v)| (HeaderName::from_static(n), HeaderValue::from_static(v))).collect()
    }

    fn get<'a>(sent: &'a Owned, name: &str) -> Option<&'a str> {
        sent.iter().find(|(n, _)| n == name).map(|(_, value)| value.to_str().unwrap())
    }

    #[test]
    fn an_envelopes_headers() {
        let auth = Auth::of_key(PublicKey::parse("a94ae32be2584e0bbd7a4cbb95971fee").unwrap());
        let came = came(&[
            ("user-agent", "sdk/1"),
            ("content-type", "text/plain"),
            ("origin", "null"),
            ("referer", "https://page.example"),
            ("x-forwarded-for", "1.2.3.4"),
            ("cookie", "secret"),
        ]);
        let sent = for_envelope(&came, PEER, &auth, Encoding::Gzip, true).unwrap();
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
    fn what_belongs_to_one_connection_stays_behind() {
        let came = came(&[
            ("host", "localhost:9000"),
            ("connection", "keep-alive, X-Secret"),
            ("x-secret", "1"),
            ("keep-alive", "timeout=5"),
            ("transfer-encoding", "chunked"),
            ("expect", "100-continue"),
            ("content-encoding", "gzip"),
            ("x-own", "2"),
        ]);
        let sent = end_to_end(&came, PEER);
        let names: Vec<&str> = sent.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["content-encoding", "x-own", "x-forwarded-for"]);
    }
}
