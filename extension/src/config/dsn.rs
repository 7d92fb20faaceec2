//! Sentry's DSN names a project, the Sentry that has the project, and the public key that an SDK authenticates with.

use super::upstream::{InvalidUrl, Upstream, parse_uri};
use std::fmt;

/// A project's public key: 32 ASCII letters and digits. `Display` and `Debug` print only its first four characters.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct PublicKey(Box<str>);

impl PublicKey {
    /// Parses a key as SDKs write it. Flags after a dot (`KEY.no-cache`) are dropped, as Sentry's Relay does.
    pub fn parse(text: &str) -> Option<Self> {
        let key = text.split('.').next().unwrap_or_default();
        let valid = key.len() == 32 && key.bytes().all(|b| b.is_ascii_alphanumeric());
        valid.then(|| Self(key.into()))
    }

    /// Returns the whole key. Use it only in requests to upstream, never in a log or an error.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // `parse` accepts only 32 ASCII characters, so the first four exist.
        write!(f, "{}…", self.0.get(..4).unwrap_or_default())
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({self})")
    }
}

/// The number of a project, as it stands in a DSN and in the paths of Sentry's API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ProjectId(u64);

impl ProjectId {
    /// Parses decimal digits and nothing else, because the number is copied from one URL path into another.
    pub fn parse(text: &str) -> Option<Self> {
        let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        digits.then(|| text.parse().ok().map(Self)).flatten()
    }
}

impl fmt::Display for ProjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A DSN: `https://KEY[:SECRET]@HOST[:PORT][/PREFIX]/PROJECT`. The secret of old DSNs is ignored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dsn {
    /// The public key. It is `None` if it is not 32 letters and digits. Such a DSN still names a host, but nothing
    /// can be sent with it.
    pub key: Option<PublicKey>,
    /// The project. It is `None` if it is not a number.
    pub project: Option<ProjectId>,
    /// The Sentry that the DSN names.
    pub upstream: Upstream,
}

impl Dsn {
    /// Parses a DSN. Only an unusable host is an error; an unusable key or project becomes `None`.
    pub fn parse(text: &str) -> Result<Self, InvalidUrl> {
        let uri = parse_uri(text)?;
        let authority = uri.authority().map(hyper::http::uri::Authority::as_str).unwrap_or_default();
        let user = authority.rsplit_once('@').map(|(user, _)| user).unwrap_or_default();
        let key = user.split(':').next().unwrap_or_default();
        let path = uri.path().trim_end_matches('/');
        let (prefix, project) = path.rsplit_once('/').unwrap_or_default();
        Ok(Self {
            key: PublicKey::parse(key),
            project: ProjectId::parse(project),
            upstream: Upstream::from_uri(&uri, prefix)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "a94ae32be2584e0bbd7a4cbb95971fee";

    #[test]
    fn parses_every_form_of_a_dsn() {
        for (dsn, upstream) in [
            (format!("https://{KEY}@o1.ingest.sentry.io/42"), "https://o1.ingest.sentry.io"),
            (format!("https://{KEY}:secret@sentry.example.com:8443/42"), "https://sentry.example.com:8443"),
            (format!("http://{KEY}@[::1]:9000/a/b/42"), "http://[::1]:9000/a/b"),
            (format!("https://{KEY}@sentry.io/42/"), "https://sentry.io"),
        ] {
            let parsed = Dsn::parse(&dsn).unwrap();
            assert_eq!(parsed.key.unwrap().expose(), KEY);
            assert_eq!(parsed.project, ProjectId::parse("42"));
            assert_eq!(parsed.upstream.to_string(), upstream);
        }
    }

    #[test]
    fn a_dsn_with_an_odd_key_still_names_a_host() {
        let parsed = Dsn::parse("https://public@sentry.io/nonsense").unwrap();
        assert_eq!((parsed.key, parsed.project), (None, None));
        assert_eq!(parsed.upstream.host(), "sentry.io");
    }

    #[test]
    fn refuses_a_dsn_without_a_usable_host() {
        for text in
            ["", "https://", "nonsense", "https://key@/42", "ftp://key@host/42", "https://key@host/../x/42"]
        {
            assert!(Dsn::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn projects_are_numbers() {
        for text in ["", "+1", "-1", "4 2", "abc", "99999999999999999999999"] {
            assert_eq!(ProjectId::parse(text), None, "{text}");
        }
    }

    #[test]
    fn keys_are_never_shown() {
        let key = PublicKey::parse(KEY).unwrap();
        for shown in [format!("{key}"), format!("{key:?}")] {
            assert!(!shown.contains(&KEY[..8]), "{shown}");
        }
    }
}
