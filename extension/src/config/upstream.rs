//! The Sentry that envelopes are sent to. Its URL is parsed once into scheme, host, port and path prefix.

use super::host;
use crate::protocol::has_dot_segments;
use hyper::Uri;
use std::fmt;

/// The scheme of an upstream or a proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// HTTP without encryption, for loopback and for upstreams that are configured so.
    Http,
    /// HTTP over TLS.
    Https,
}

/// A Sentry that receives envelopes, e.g. `https://o1.ingest.sentry.io` or `http://relay.local:3000/prefix`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Upstream {
    scheme: Scheme,
    /// The host in its only spelling: a name in lower case, or an address without brackets.
    host: String,
    port: u16,
    /// The path prefix. It is empty, or like `/some/path` without a slash at its end.
    prefix: String,
}

/// The reason why a text is not a usable URL. It never contains the text, because the text may contain a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InvalidUrl {
    /// The text is not an absolute URL.
    Malformed,
    /// The scheme is neither http nor https.
    Scheme,
    /// The host is neither a name nor an address.
    Host,
    /// The port is not a number between 1 and 65535.
    Port,
    /// The path has segments of dots.
    Path,
}

impl fmt::Display for InvalidUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed => "is not an absolute URL like https://host/path",
            Self::Scheme => "has a scheme that is neither http nor https",
            Self::Host => {
                "has a host that is neither an address nor a name of ASCII letters, digits, hyphens and dots \
                 (write other letters in punycode, as in xn--bcher-kva.example)"
            }
            Self::Port => "has a port that is not a number between 1 and 65535",
            Self::Path => "has a path with segments of dots",
        })
    }
}

impl std::error::Error for InvalidUrl {}

impl Upstream {
    /// Parses a URL. User information, query and fragment are ignored.
    pub fn parse(url: &str) -> Result<Self, InvalidUrl> {
        let uri = parse_uri(url)?;
        let path = uri.path().to_owned();
        Self::from_uri(&uri, &path)
    }

    /// Builds an upstream from a parsed URL. `prefix` replaces the path of the URL.
    pub(super) fn from_uri(uri: &Uri, prefix: &str) -> Result<Self, InvalidUrl> {
        let scheme = match uri.scheme_str() {
            Some("http") => Scheme::Http,
            Some("https") => Scheme::Https,
            Some(_) => return Err(InvalidUrl::Scheme),
            None => return Err(InvalidUrl::Malformed),
        };
        let written = uri.host().unwrap_or_default();
        if written.is_empty() {
            return Err(InvalidUrl::Malformed);
        }
        let host = host::canonical(written).ok_or(InvalidUrl::Host)?;
        let port = match (written_port(uri), uri.port_u16(), scheme) {
            (None, _, Scheme::Http) => 80,
            (None, _, Scheme::Https) => 443,
            // A number with a sign is accepted by the parser of the URL.
            (Some(text), Some(port), _) if port != 0 && text.bytes().all(|b| b.is_ascii_digit()) => port,
            (Some(_), ..) => return Err(InvalidUrl::Port),
        };
        if has_dot_segments(prefix) {
            return Err(InvalidUrl::Path);
        }
        let prefix = prefix.trim_matches('/');
        let prefix = if prefix.is_empty() { String::new() } else { format!("/{prefix}") };
        Ok(Self { scheme, host, port, prefix })
    }

    /// Returns whether the upstream uses HTTP or HTTPS.
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// Returns the host in its only spelling: a name in lower case, or an address without brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Returns the port. If the URL has none, it is the default port of the scheme.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Adds the upstream's path prefix to an API path, which must start with a slash.
    pub fn path(&self, api: &str) -> String {
        format!("{}{api}", self.prefix)
    }

    /// Returns the value of the `Host` header. It contains the port only if that is not the default port of the scheme.
    pub fn authority(&self) -> String {
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        match (self.scheme, self.port) {
            (Scheme::Http, 80) | (Scheme::Https, 443) => host,
            (_, port) => format!("{host}:{port}"),
        }
    }

    /// Returns host and port in the form that a `CONNECT` request needs.
    pub fn host_and_port(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }

    /// Whether the host is this machine: `localhost`, a loopback address or the unspecified address.
    pub fn is_loopback(&self) -> bool {
        host::is_loopback(&self.host)
    }
}

impl fmt::Display for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match self.scheme {
            Scheme::Http => "http",
            Scheme::Https => "https",
        };
        write!(f, "{scheme}://{}{}", self.authority(), self.prefix)
    }
}

/// Parses an absolute URL. A host with other letters than ASCII ones gets an error of its own, because its user can
/// write it differently.
pub(super) fn parse_uri(text: &str) -> Result<Uri, InvalidUrl> {
    let text = text.trim();
    let is_plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic());
    let authority = text.split_once("://").and_then(|(_, rest)| rest.split(['/', '?', '#']).next());
    match text.parse() {
        Ok(uri) => Ok(uri),
        Err(_) if authority.is_some_and(|authority| !is_plain(authority)) => Err(InvalidUrl::Host),
        Err(_) => Err(InvalidUrl::Malformed),
    }
}

/// Returns the text after the colon of the host. `Uri` accepts a text that is not a valid port and then returns no
/// port.
fn written_port(uri: &Uri) -> Option<&str> {
    let authority = uri.authority()?.as_str();
    let host_and_port = authority.rsplit_once('@').map_or(authority, |(_, rest)| rest);
    let behind_host = host_and_port.rsplit_once(']').map_or(host_and_port, |(_, rest)| rest);
    behind_host.split_once(':').map(|(_, port)| port)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_and_prints_urls() {
        for (url, shown) in [
            ("https://o1.ingest.sentry.io", "https://o1.ingest.sentry.io"),
            ("https://O1.Ingest.Sentry.IO:443/", "https://o1.ingest.sentry.io"),
            ("http://127.0.0.1:3000", "http://127.0.0.1:3000"),
            ("http://[::1]:3000/a/b/", "http://[::1]:3000/a/b"),
            (" https://relay.example.com/prefix?x=1 ", "https://relay.example.com/prefix"),
        ] {
            assert_eq!(Upstream::parse(url).unwrap().to_string(), shown, "{url}");
        }
    }

    #[test]
    fn refuses_invalid_urls() {
        for (url, why) in [
            ("", InvalidUrl::Malformed),
            ("sentry.io", InvalidUrl::Malformed),
            ("/api", InvalidUrl::Malformed),
            ("ftp://sentry.io", InvalidUrl::Scheme),
            ("https://sentry.io:99999", InvalidUrl::Port),
            ("https://sentry.io:0", InvalidUrl::Port),
            ("https://sentry.io:+80", InvalidUrl::Port),
            ("https://sentry.io:", InvalidUrl::Port),
            ("https:// sentry.io", InvalidUrl::Host),
            ("https://s\u{e9}ntry.io", InvalidUrl::Host),
            ("https://sentry..io", InvalidUrl::Host),
            ("https://sentry%2eio", InvalidUrl::Malformed),
            ("https://256.1.1.1", InvalidUrl::Host),
            ("https://sentry.io/a/../b", InvalidUrl::Path),
            ("https://sentry.io/a/%2e%2E/b", InvalidUrl::Path),
        ] {
            assert_eq!(Upstream::parse(url), Err(why), "{url}");
        }
    }

    #[test]
    fn recognizes_loopback_in_every_spelling() {
        for host in [
            "localhost",
            "127.9.9.9",
            "[::1]",
            "app.localhost",
            "LOCALHOST",
            "localhost.",
            "0",
            "127.1",
            "2130706433",
            "0x7f000001",
            "[::ffff:127.0.0.1]",
            "key@localhost",
            "sentry.io@localhost",
        ] {
            assert!(Upstream::parse(&format!("http://{host}:9000")).unwrap().is_loopback(), "{host}");
        }
        assert!(!Upstream::parse("http://localhost.example.com").unwrap().is_loopback());
    }
}
