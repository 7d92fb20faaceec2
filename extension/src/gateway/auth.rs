//! Who sends: the key, protocol version and client, from whichever of the forms an SDK uses.
//!
//! Exactly one form may be present, as in Relay; with none, the `dsn` in the envelope's header decides.

use super::query;
use crate::config::PublicKey;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::HeaderMap;
use hyper::header::AUTHORIZATION;
use std::fmt;

/// The newest protocol version that Sentry knows.
const PROTOCOL_VERSION: u16 = 7;

/// What the sender says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Auth {
    pub(super) key: PublicKey,
    pub(super) version: u16,
    /// `sentry.python/2.75.0`
    pub(super) client: Option<String>,
}

impl Auth {
    /// A sender of which nothing but its key is known.
    pub(super) fn of_key(key: PublicKey) -> Self {
        Self { key, version: PROTOCOL_VERSION, client: None }
    }

    /// The value of upstream's `X-Sentry-Auth`, rebuilt: order and spacing of SDKs vary.
    pub(super) fn header(&self) -> String {
        let mut header = format!("Sentry sentry_key={}, sentry_version={}", self.key.expose(), self.version);
        if let Some(client) = &self.client {
            header.push_str(", sentry_client=");
            header.push_str(client);
        }
        header
    }
}

/// Why nobody can be made out of what was sent.
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

/// Finds the one form of authentication in headers, query and path, if there is any.
pub(super) fn find(
    headers: &HeaderMap,
    query: Option<&str>,
    path_key: Option<&str>,
) -> Result<Option<Auth>, AuthError> {
    let header = |name| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let own = after_scheme(header("x-sentry-auth"), "sentry ").map(|fields| parse(fields.split(',')));
    let standard = header(AUTHORIZATION.as_str());
    let authorization = after_scheme(standard, "sentry ").map(|fields| parse(fields.split(',')));
    let basic = after_scheme(standard, "basic ").and_then(basic).map(Ok);
    let query = query.filter(|q| q.contains("sentry_")).map(|q| parse(q.split('&')));
    let path = path_key.map(|key| Ok(Fields { key: Some(query::decoded(key)), ..Fields::default() }));

    let mut found = [own, authorization, basic, query, path].into_iter().flatten();
    match (found.next(), found.next()) {
        (Some(_), Some(_)) => Err(AuthError::Multiple),
        (Some(fields), None) => fields?.check().map(Some),
        (None, _) => Ok(None),
    }
}

#[derive(Default)]
struct Fields {
    key: Option<String>,
    version: Option<u16>,
    client: Option<String>,
}

impl Fields {
    fn check(self) -> Result<Auth, AuthError> {
        let key = self.key.ok_or(AuthError::Malformed)?;
        let key = PublicKey::parse(&key).ok_or(AuthError::Key)?;
        let version = self.version.unwrap_or(PROTOCOL_VERSION);
        if version > PROTOCOL_VERSION {
            return Err(AuthError::Version(version));
        }
        Ok(Auth { key, version, client: self.client })
    }
}

fn after_scheme<'a>(header: &'a str, scheme: &str) -> Option<&'a str> {
    let (start, rest) = header.split_at_checked(scheme.len())?;
    start.eq_ignore_ascii_case(scheme).then_some(rest)
}

/// `sentry_key=…`, in any order; what is not known is read over.
fn parse<'a>(fields: impl Iterator<Item = &'a str>) -> Result<Fields, AuthError> {
    let mut found = Fields::default();
    for field in fields {
        let Some((name, value)) = field.trim().split_once('=') else { continue };
        let value = query::decoded(value.trim());
        match name.trim().trim_start_matches("sentry_") {
            "key" => found.key = Some(value),
            "version" => found.version = Some(version(&value)?),
            "client" => found.client = Some(value).filter(|c| !c.is_empty() && visible_ascii(c)),
            _ => {}
        }
    }
    Ok(found)
}

/// `7`, and `7.0` of some old SDKs.
fn version(text: &str) -> Result<u16, AuthError> {
    text.split('.').next().and_then(|major| major.parse().ok()).ok_or(AuthError::Malformed)
}

/// What goes into a header of ours must not end it.
fn visible_ascii(text: &str) -> bool {
    text.bytes().all(|b| (0x20..0x7f).contains(&b))
}

fn basic(encoded: &str) -> Option<Fields> {
    let decoded = String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()?;
    let (key, _) = decoded.split_once(':')?;
    Some(Fields { key: Some(key.to_owned()), ..Fields::default() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::header::{HeaderName, HeaderValue};

    const KEY: &str = "a94ae32be2584e0bbd7a4cbb95971fee";

    fn with(headers: &[(&str, String)], query: Option<&str>) -> Result<Option<Auth>, AuthError> {
        let headers = headers.iter().map(|(name, value)| {
            (HeaderName::try_from(*name).unwrap(), HeaderValue::try_from(value.as_str()).unwrap())
        });
        find(&headers.collect(), query, None)
    }

    /// Headers and query.
    type Form<'a> = (&'a [(&'a str, String)], Option<String>);

    #[test]
    fn every_form() {
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
            let auth = with(headers, query.as_deref()).unwrap().unwrap();
            assert_eq!(auth, Auth::of_key(PublicKey::parse(KEY).unwrap()), "{headers:?} {query:?}");
        }
    }

    #[test]
    fn the_client_is_kept_and_the_header_rebuilt() {
        let query =
            format!("sentry_version=7&sentry_key={KEY}&sentry_client=sentry.javascript.node%2F7.43.0");
        let auth = with(&[], Some(&query)).unwrap().unwrap();
        assert_eq!(
            auth.header(),
            format!("Sentry sentry_key={KEY}, sentry_version=7, sentry_client=sentry.javascript.node/7.43.0")
        );
        let smuggled = with(&[], Some(&format!("sentry_key={KEY}&sentry_client=a%0d%0ab"))).unwrap().unwrap();
        assert_eq!(smuggled.client, None);
    }

    #[test]
    fn no_authentication() {
        assert_eq!(with(&[], None), Ok(None));
        assert_eq!(with(&[("x-sentry-auth", "Bearer x".into())], Some("a=b")), Ok(None));
    }

    #[test]
    fn the_key_in_the_path() {
        let in_path = |key| find(&HeaderMap::new(), Some("status=ok"), Some(key));
        assert_eq!(in_path(KEY).unwrap().unwrap().key.expose(), KEY);
        assert_eq!(in_path("short"), Err(AuthError::Key));
        let flagged = in_path(&format!("{KEY}.no-cache")).unwrap().unwrap();
        assert_eq!(flagged.key.expose(), KEY);
    }

    #[test]
    fn refusals() {
        let own = ("x-sentry-auth", format!("Sentry sentry_key={KEY}"));
        let twice = with(std::slice::from_ref(&own), Some(&format!("sentry_key={KEY}")));
        assert_eq!(twice, Err(AuthError::Multiple));
        let in_path = find(&HeaderMap::new(), Some(&format!("sentry_key={KEY}")), Some(KEY));
        assert_eq!(in_path, Err(AuthError::Multiple));
        for (fields, error) in [
            ("sentry_version=7".to_owned(), AuthError::Malformed),
            ("sentry_key=short".to_owned(), AuthError::Key),
            (format!("sentry_key={KEY}, sentry_version=8"), AuthError::Version(8)),
            (format!("sentry_key={KEY}, sentry_version=x"), AuthError::Malformed),
        ] {
            assert_eq!(with(&[("x-sentry-auth", format!("Sentry {fields}"))], None), Err(error), "{fields}");
        }
    }
}
