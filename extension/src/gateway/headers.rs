//! Builds the headers of the requests to upstream from those of the client.

use super::auth::{self, Auth, AuthError};
use crate::protocol::Encoding;
use hyper::HeaderMap;
use hyper::Uri;
use hyper::header::{
    CONNECTION, CONTENT_ENCODING, CONTENT_TYPE, HeaderName, HeaderValue, ORIGIN, REFERER, USER_AGENT,
};
use std::net::IpAddr;

const X_SENTRY_AUTH: HeaderName = HeaderName::from_static("x-sentry-auth");
const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const ENVELOPE: HeaderValue = HeaderValue::from_static("application/x-sentry-envelope");
const OWN_USER_AGENT: HeaderValue =
    HeaderValue::from_static(concat!("sentry-lambda-extension/", env!("CARGO_PKG_VERSION")));

/// Headers that own their memory. The values of a received request share its read buffer, so one queued value would
/// keep the whole buffer alive.
pub(super) type OwnedHeaders = Vec<(HeaderName, HeaderValue)>;

/// Builds the headers for an envelope: those that are built anew, and all others that are not about one connection
/// only, because access gateways may want them. `remote` is the client's address, if it is not on this machine.
/// `keep_type` keeps the client's `Content-Type`, for a request that came as an envelope and was not converted to one.
/// Fails if the authentication does not fit into a header.
pub(super) fn for_envelope(
    client_headers: &HeaderMap,
    remote: Option<IpAddr>,
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
    sent.extend(origin(client_headers).map(|value| (ORIGIN, value)));
    sent.extend(encoding.header().map(|name| (CONTENT_ENCODING, HeaderValue::from_static(name))));
    let is_built = |name: &HeaderName, value: &HeaderValue| match name.as_str() {
        // The last four are about the exact bytes of a body, and wrong once an item or an id is added or removed.
        "x-sentry-auth" | "user-agent" | "content-type" | "origin" | "content-encoding" | "content-md5"
        | "digest" | "content-digest" | "repr-digest" => true,
        "authorization" => auth::is_of_sentry(value),
        _ => false,
    };
    extend_end_to_end(&mut sent, client_headers, remote, is_built);
    Ok(sent)
}

/// Builds the headers for a request that is forwarded unchanged. `remote` is the client's address, if it is not on this
/// machine.
pub(super) fn end_to_end(client_headers: &HeaderMap, remote: Option<IpAddr>) -> OwnedHeaders {
    let mut sent = Vec::new();
    extend_end_to_end(&mut sent, client_headers, remote, |_, _| false);
    sent
}

/// Copies the headers that are not about one connection only. Cookies stay here: a browser may add those of any server
/// on this machine. `leave_out` selects further headers that are not copied.
fn extend_end_to_end(
    sent: &mut OwnedHeaders,
    client_headers: &HeaderMap,
    remote: Option<IpAddr>,
    leave_out: impl Fn(&HeaderName, &HeaderValue) -> bool,
) {
    let named = named_by_connection(client_headers);
    let is_replaced = |name: &HeaderName| {
        matches!(name.as_str(), "host" | "content-length" | "expect" | "cookie" | "x-forwarded-for")
    };
    let stays = |name: &HeaderName, value: &HeaderValue| {
        is_hop_by_hop(name) || is_replaced(name) || named.contains(name) || leave_out(name, value)
    };
    let is_forwarded = |name: &HeaderName, value: &HeaderValue| {
        let is_alias = |alias: HeaderName| alias == X_SENTRY_AUTH || stays(&alias, value);
        !stays(name, value) && !with_hyphens(name).is_some_and(is_alias)
    };
    let kept = client_headers.iter().filter(|(name, value)| is_forwarded(name, value));
    sent.extend(kept.filter_map(|(name, value)| {
        // A non-standard name shares the read buffer too, so it is copied like the value.
        Some((HeaderName::from_bytes(name.as_str().as_bytes()).ok()?, deep_copy(value)))
    }));
    sent.extend(forwarded_for(client_headers, remote));
}

/// Returns the name that some servers read for one with underscores: `x_sentry_auth` is `X-Sentry-Auth` for them, so
/// such a header could bring a second key past the checks.
fn with_hyphens(name: &HeaderName) -> Option<HeaderName> {
    let text = name.as_str();
    if text.contains('_') { HeaderName::try_from(text.replace('_', "-")).ok() } else { None }
}

/// Returns the headers that are about one connection only, among those of a message.
pub(crate) fn of_one_hop(headers: &HeaderMap) -> Vec<HeaderName> {
    let named = named_by_connection(headers);
    headers.keys().filter(|name| is_hop_by_hop(name) || named.contains(name)).cloned().collect()
}

/// Returns the headers that `Connection` names, in addition to those that are always about one connection only.
fn named_by_connection(headers: &HeaderMap) -> Vec<HeaderName> {
    let values = headers.get_all(CONNECTION).iter().filter_map(|value| value.to_str().ok());
    let names = values.flat_map(|value| value.split(',')).map(str::trim);
    // Most requests have `keep-alive` or `close` there, which name no header.
    let names = names.filter(|name| !["keep-alive", "close"].contains(name));
    names.filter_map(|name| HeaderName::try_from(name).ok()).collect()
}

/// Whether a header is about one connection only, so that a proxy must not pass it on. Texts are compared, because a
/// list of `HeaderName` would be made anew for each header.
fn is_hop_by_hop(name: &HeaderName) -> bool {
    matches!(
        name.as_str(),
        "connection"
            | "keep-alive"
            | "proxy-authenticate"
            | "proxy-authorization"
            | "proxy-connection"
            | "te"
            | "trailer"
            | "transfer-encoding"
            | "upgrade"
    )
}

/// The addresses that the client names, and its own unless it is on this machine: Sentry would take a loopback address
/// for that of the user.
fn forwarded_for(client_headers: &HeaderMap, remote: Option<IpAddr>) -> Option<(HeaderName, HeaderValue)> {
    let received = client_headers.get_all(X_FORWARDED_FOR).iter().filter_map(|value| value.to_str().ok());
    let received = received.map(str::trim).filter(|value| !value.is_empty()).map(str::to_owned);
    let chain: Vec<String> = received.chain(remote.map(|remote| remote.to_string())).collect();
    if chain.is_empty() {
        return None;
    }
    Some((X_FORWARDED_FOR, HeaderValue::try_from(chain.join(", ")).ok()?))
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

    const REMOTE: Option<IpAddr> = Some(IpAddr::V4(Ipv4Addr::new(10, 1, 2, 3)));

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
            ("content-encoding", "br"),
            ("content-length", "7"),
            ("content-md5", "x"),
            ("origin", "null"),
            ("referer", "https://page.example"),
            ("x-forwarded-for", "1.2.3.4"),
            ("x-sentry-auth", "Sentry sentry_key=other"),
            ("authorization", "Bearer token"),
            ("cf-access-client-id", "id"),
            ("connection", "close, x-hop"),
            ("proxy-connection", "close"),
            ("x-hop", "1"),
            ("x_sentry_auth", "Sentry sentry_key=other"),
            ("transfer_encoding", "chunked"),
            ("x_hop", "1"),
            ("x_own", "1"),
            ("cookie", "secret"),
        ]);
        let sent = for_envelope(&client_headers, REMOTE, &auth, Encoding::Gzip, true).unwrap();
        for (name, value) in [
            ("x-sentry-auth", Some(&*auth.header())),
            ("user-agent", Some("sdk/1")),
            ("content-type", Some("text/plain")),
            ("origin", Some("https://page.example/")),
            ("referer", Some("https://page.example")),
            ("x-forwarded-for", Some("1.2.3.4, 10.1.2.3")),
            ("content-encoding", Some("gzip")),
            ("authorization", Some("Bearer token")),
            ("cf-access-client-id", Some("id")),
            ("content-length", None),
            ("content-md5", None),
            ("connection", None),
            ("proxy-connection", None),
            ("x-hop", None),
            ("x_sentry_auth", None),
            ("transfer_encoding", None),
            ("x_hop", None),
            ("x_own", Some("1")),
            ("cookie", None),
        ] {
            assert_eq!(get(&sent, name), value, "{name}");
        }
        let mut names: Vec<_> = sent.iter().map(|(name, _)| name).collect();
        names.sort_by_key(|name| name.as_str());
        names.dedup();
        assert_eq!(names.len(), sent.len(), "a header is there twice: {sent:?}");
        let made = for_envelope(&HeaderMap::new(), None, &auth, Encoding::Identity, false).unwrap();
        assert_eq!(get(&made, "content-type"), Some("application/x-sentry-envelope"));
        assert_eq!(made.len(), 3, "{made:?}");
    }

    #[test]
    fn the_authorization_of_sentry_is_not_passed_on() {
        let auth = Auth::from_key(PublicKey::parse("a94ae32be2584e0bbd7a4cbb95971fee").unwrap());
        for (value, is_kept) in [
            ("Sentry sentry_key=x", false),
            ("sentry sentry_key=x", false),
            ("Sentry\tsentry_key=x", false),
            ("SENTRY", false),
            ("Basic YTo=", false),
            ("Basic nonsense", true),
            ("Bearer x", true),
            ("SentryX", true),
        ] {
            let client_headers = header_map(&[("authorization", value)]);
            let sent = for_envelope(&client_headers, None, &auth, Encoding::Identity, true).unwrap();
            assert_eq!(get(&sent, "authorization").is_some(), is_kept, "{value}");
        }
    }

    #[test]
    fn only_a_client_on_another_machine_is_added_to_the_addresses() {
        let header = |names: &[&'static str], remote| {
            let mut headers = HeaderMap::new();
            for name in names {
                headers.append(X_FORWARDED_FOR, HeaderValue::from_static(name));
            }
            forwarded_for(&headers, remote).map(|(_, value)| value.to_str().unwrap().to_owned())
        };
        assert_eq!(header(&[], None), None);
        assert_eq!(header(&[""], None), None);
        assert_eq!(header(&["1.2.3.4"], None).as_deref(), Some("1.2.3.4"));
        assert_eq!(header(&["1.2.3.4", " ::5 , x"], REMOTE).as_deref(), Some("1.2.3.4, ::5 , x, 10.1.2.3"));
        assert_eq!(header(&[], REMOTE).as_deref(), Some("10.1.2.3"));
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
            ("cookie", "a=1"),
            ("content-encoding", "gzip"),
            ("x_sentry_auth", "Sentry sentry_key=other"),
            ("x-own", "2"),
        ]);
        let sent = end_to_end(&client_headers, REMOTE);
        let names: Vec<&str> = sent.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["content-encoding", "x-own", "x-forwarded-for"]);
        assert_eq!(end_to_end(&client_headers, None).len(), 2);
    }
}
