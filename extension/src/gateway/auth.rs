//! Reads the sender's public key, protocol version and client name from a request.
//!
//! SDKs send them in a header, in the query or in the path. A request may use only one of these forms, as in
//! Sentry's Relay. If it uses none, the `dsn` in the envelope's header decides.

use super::query;
use crate::config::PublicKey;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::HeaderMap;
use hyper::header::{AUTHORIZATION, HeaderValue};
use std::fmt;

/// The newest version of the protocol between SDKs and Sentry.
const PROTOCOL_VERSION: u16 = 7;

/// The longest name of a client, in bytes. Real ones have about 30.
const MAX_CLIENT: usize = 200;

/// What the request says about its sender.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Auth {
    pub(super) key: PublicKey,
    pub(super) version: u16,
    /// The SDK's name and version, for example `sentry.python/2.75.0`.
    pub(super) client: Option<String>,
}

impl Auth {
    /// Authentication from a key alone, with the newest protocol version and no client name.
    pub(super) fn from_key(key: PublicKey) -> Self {
        Self { key, version: PROTOCOL_VERSION, client: None }
    }

    /// The value of `X-Sentry-Auth` for upstream. It is built anew, because SDKs differ in order and spacing.
    pub(super) fn header(&self) -> String {
        let mut header = format!("Sentry sentry_key={}, sentry_version={}", self.key.expose(), self.version);
        if let Some(client) = &self.client {
            header.push_str(", sentry_client=");
            header.push_str(client);
        }
        header
    }
}

/// Why a request's authentication is missing or invalid. The texts are those of Sentry's Relay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AuthError {
    Missing,
    Multiple,
    Malformed,
    Version(u16),
    Key,
}

impl fmt::Display for AuthError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("missing authorization information"),
            Self::Multiple => f.write_str("multiple authorization payloads detected"),
            Self::Malformed => f.write_str("bad x-sentry-auth header"),
            Self::Version(version) => write!(f, "unsupported protocol version ({version})"),
            Self::Key => f.write_str("bad sentry DSN public key"),
        }
    }
}

/// Reads the authentication from headers, query or path. Returns `None` if the request has none, and an error if
/// it has several or an invalid one.
pub(super) fn find(
    headers: &HeaderMap,
    query: Option<&str>,
    path_key: Option<&str>,
) -> Result<Option<Auth>, AuthError> {
    let of_header = |name| headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    let sentry_header =
        of_header("x-sentry-auth").filter_map(|value| strip_scheme(value, "sentry")).map(parse_list);
    let sentry_scheme =
        of_header(AUTHORIZATION.as_str()).filter_map(|value| strip_scheme(value, "sentry")).map(parse_list);
    let basic_scheme = of_header(AUTHORIZATION.as_str())
        .filter_map(|value| strip_scheme(value, "basic").and_then(parse_basic))
        .map(Ok);
    let query = query.filter(|q| q.contains("sentry_")).map(|q| parse_fields(q.split('&')));
    let path = path_key
        .map(|key| Ok(Fields { key: Some(query::percent_decode(key).into_owned()), ..Fields::default() }));

    let mut found = sentry_header.chain(sentry_scheme).chain(basic_scheme).chain(query).chain(path);
    match (found.next(), found.next()) {
        (Some(_), Some(_)) => Err(AuthError::Multiple),
        (Some(fields), None) => fields?.into_auth().map(Some),
        (None, _) => Ok(None),
    }
}

/// Whether a value of `Authorization` is authentication for Sentry. Others are for proxies. It is enough that a server
/// might take it for Sentry's, even where `find` does not read it.
pub(super) fn is_of_sentry(authorization: &HeaderValue) -> bool {
    let Ok(text) = authorization.to_str() else { return false };
    let scheme = text.split_ascii_whitespace().next().unwrap_or_default();
    scheme.eq_ignore_ascii_case("sentry") || strip_scheme(text, "basic").and_then(parse_basic).is_some()
}

#[derive(Default)]
struct Fields {
    key: Option<String>,
    version: Option<u16>,
    client: Option<String>,
}

impl Fields {
    fn into_auth(self) -> Result<Auth, AuthError> {
        let key = self.key.ok_or(AuthError::Malformed)?;
        let key = PublicKey::parse(&key).ok_or(AuthError::Key)?;
        let version = self.version.unwrap_or(PROTOCOL_VERSION);
        if version > PROTOCOL_VERSION {
            return Err(AuthError::Version(version));
        }
        Ok(Auth { key, version, client: self.client })
    }
}

fn strip_scheme<'a>(header: &'a str, scheme: &str) -> Option<&'a str> {
    let (start, rest) = header.split_at_checked(scheme.len())?;
    // A tab separates like a space, so that no server can read what is not read here.
    let is_scheme = start.eq_ignore_ascii_case(scheme) && rest.starts_with([' ', '\t']);
    is_scheme.then(|| rest.trim_ascii_start())
}

fn parse_list(fields: &str) -> Result<Fields, AuthError> {
    parse_fields(fields.split(','))
}

/// Reads fields like `sentry_key=…` in any order, and ignores unknown ones. Fails if there are two keys: a server might
/// read the other one.
fn parse_fields<'a>(fields: impl Iterator<Item = &'a str>) -> Result<Fields, AuthError> {
    let mut found = Fields::default();
    for field in fields {
        let Some((name, value)) = field.trim().split_once('=') else { continue };
        let value = query::percent_decode(value.trim());
        match query::percent_decode(name.trim()).trim_start_matches("sentry_") {
            "key" if found.key.as_ref().is_some_and(|key| *key != value) => return Err(AuthError::Multiple),
            "key" => found.key = Some(value.into_owned()),
            "version" => found.version = Some(parse_version(&value)?),
            "client" => found.client = Some(value.into_owned()).filter(|client| is_client_name(client)),
            _ => {}
        }
    }
    Ok(found)
}

/// Reads the major version. Some old SDKs send `7.0` instead of `7`.
fn parse_version(text: &str) -> Result<u16, AuthError> {
    text.split('.').next().and_then(|major| major.parse().ok()).ok_or(AuthError::Malformed)
}

/// Whether a client's name can stand in `X-Sentry-Auth` without being read as anything else. A comma would begin
/// another field, such as a second key, and a line break another header.
fn is_client_name(text: &str) -> bool {
    (1..=MAX_CLIENT).contains(&text.len())
        && text.bytes().all(|byte| (0x20..0x7f).contains(&byte) && !b",=%\"".contains(&byte))
}

fn parse_basic(encoded: &str) -> Option<Fields> {
    let decoded = String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()?;
    let (key, _) = decoded.split_once(':')?;
    Some(Fields { key: Some(key.to_owned()), ..Fields::default() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::header::HeaderName;

    const KEY: &str = "a94ae32be2584e0bbd7a4cbb95971fee";

    fn find_auth(headers: &[(&str, String)], query: Option<&str>) -> Result<Option<Auth>, AuthError> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(HeaderName::try_from(*name).unwrap(), value.parse().unwrap());
        }
        find(&map, query, None)
    }

    /// A request's headers and query.
    type Form<'a> = (&'a [(&'a str, String)], Option<String>);

    #[test]
    fn every_form_is_read() {
        let basic = STANDARD.encode(format!("{KEY}:"));
        let forms: [Form<'_>; 7] = [
            (&[("x-sentry-auth", format!("Sentry sentry_key={KEY}, sentry_version=7"))], None),
            (
                &[(
                    "x-sentry-auth",
                    format!("sentry sentry_version=7,sentry_timestamp=1.5,sentry_key={KEY}"),
                )],
                None,
            ),
            (&[("x-sentry-auth", format!("Sentry sentry_key={KEY}, sentry_version=7.0"))], None),
            (&[("authorization", format!("Sentry sentry_key={KEY}"))], None),
            (&[("authorization", format!("Basic {basic}"))], None),
            (&[], Some(format!("sentry_version=7&sentry_key={KEY}"))),
            (&[("x-sentry-auth", String::new())], Some(format!("sentry_key={KEY}"))),
        ];
        for (headers, query) in forms {
            let auth = find_auth(headers, query.as_deref()).unwrap().unwrap();
            assert_eq!(auth, Auth::from_key(PublicKey::parse(KEY).unwrap()), "{headers:?} {query:?}");
        }
    }

    #[test]
    fn the_client_is_kept_and_the_header_rebuilt() {
        let query =
            format!("sentry_version=7&sentry_key={KEY}&sentry_client=sentry.javascript.node%2F7.43.0");
        let auth = find_auth(&[], Some(&query)).unwrap().unwrap();
        assert_eq!(
            auth.header(),
            format!("Sentry sentry_key={KEY}, sentry_version=7, sentry_client=sentry.javascript.node/7.43.0")
        );
        let other = "ffffffffffffffffffffffffffffffff";
        let long = "x".repeat(201);
        for client in [
            "a%0d%0ab",
            &format!("a%2C%20sentry_key%3D{other}"),
            &format!("a%2Csentry_key={other}"),
            "a%252Cb",
            "a%3Db",
            "a%22b",
            "a%00",
            "b%C3%A4",
            &long,
        ] {
            let query = format!("sentry_key={KEY}&sentry_client={client}");
            let smuggled = find_auth(&[], Some(&query)).unwrap().unwrap();
            assert_eq!(smuggled.client, None, "{client}");
            assert_eq!(smuggled.header(), format!("Sentry sentry_key={KEY}, sentry_version=7"));
        }
        let spaced = format!("Sentry sentry_key={KEY}, sentry_client=Raven Sharp/2.4 (x; y)");
        let spaced = find_auth(&[("x-sentry-auth", spaced)], None).unwrap().unwrap();
        assert_eq!(spaced.client.as_deref(), Some("Raven Sharp/2.4 (x; y)"));
    }

    #[test]
    fn requests_without_authentication() {
        assert_eq!(find_auth(&[], None), Ok(None));
        assert_eq!(find_auth(&[("x-sentry-auth", "Bearer x".into())], Some("a=b")), Ok(None));
    }

    #[test]
    fn keys_in_the_path() {
        let in_path = |key| find(&HeaderMap::new(), Some("status=ok"), Some(key));
        assert_eq!(in_path(KEY).unwrap().unwrap().key.expose(), KEY);
        assert_eq!(in_path("short"), Err(AuthError::Key));
        let flagged = in_path(&format!("{KEY}.no-cache")).unwrap().unwrap();
        assert_eq!(flagged.key.expose(), KEY);
    }

    #[test]
    fn invalid_authentication_is_rejected() {
        let own = ("x-sentry-auth", format!("Sentry sentry_key={KEY}"));
        let twice = find_auth(std::slice::from_ref(&own), Some(&format!("sentry_key={KEY}")));
        assert_eq!(twice, Err(AuthError::Multiple));
        for headers in [
            [own.clone(), own.clone()],
            [own.clone(), ("authorization", own.1.replacen(' ', "\t", 1))],
            [("authorization", own.1.clone()), ("authorization", format!("Basic {}", STANDARD.encode("x:")))],
            [("x-sentry-auth", String::new()), ("x-sentry-auth", format!("{}, sentry_key=f", own.1))],
        ] {
            assert_eq!(find_auth(&headers, None), Err(AuthError::Multiple), "{headers:?}");
        }
        for second in ["sentry_key", "%73entry_key", "sentry%5fkey"] {
            let two_keys = format!("sentry_key={KEY}&{second}=ffffffffffffffffffffffffffffffff");
            assert_eq!(find_auth(&[], Some(&two_keys)), Err(AuthError::Multiple), "{second}");
        }
        assert!(find_auth(&[], Some(&format!("sentry_key={KEY}&sentry_key={KEY}"))).is_ok());
        let in_path = find(&HeaderMap::new(), Some(&format!("sentry_key={KEY}")), Some(KEY));
        assert_eq!(in_path, Err(AuthError::Multiple));
        for (fields, error) in [
            ("sentry_version=7".to_owned(), AuthError::Malformed),
            ("sentry_key=short".to_owned(), AuthError::Key),
            (format!("sentry_key={KEY}, sentry_version=8"), AuthError::Version(8)),
            (format!("sentry_key={KEY}, sentry_version=x"), AuthError::Malformed),
        ] {
            assert_eq!(
                find_auth(&[("x-sentry-auth", format!("Sentry {fields}"))], None),
                Err(error),
                "{fields}"
            );
        }
    }
}
