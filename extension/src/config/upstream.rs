//! The Sentry that envelopes are sent to. Its URL is parsed once into scheme, host, port and path prefix.

use hyper::Uri;
use std::fmt;
use std::net::IpAddr;

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
    /// The host in lower case. An IPv6 address has no brackets.
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
    /// The port is not a number between 1 and 65535.
    Port,
}

impl fmt::Display for InvalidUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed => "is not an absolute URL like https://host/path",
            Self::Scheme => "has a scheme that is neither http nor https",
            Self::Port => "has a port that is not a number between 1 and 65535",
        })
    }
}

impl std::error::Error for InvalidUrl {}

impl Upstream {
    /// Parses a URL. User information, query and fragment are ignored.
    pub fn parse(url: &str) -> Result<Self, InvalidUrl> {
        let uri: Uri = url.trim().parse().map_err(|_| InvalidUrl::Malformed)?;
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
        let host = uri.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
        if host.is_empty() {
            return Err(InvalidUrl::Malformed);
        }
        let port = match (written_port(uri), uri.port_u16(), scheme) {
            (None, _, Scheme::Http) => 80,
            (None, _, Scheme::Https) => 443,
            (Some(_), Some(port), _) if port != 0 => port,
            (Some(_), ..) => return Err(InvalidUrl::Port),
        };
        let prefix = prefix.trim_matches('/');
        let prefix = if prefix.is_empty() { String::new() } else { format!("/{prefix}") };
        Ok(Self { scheme, host: host.to_ascii_lowercase(), port, prefix })
    }

    /// Returns whether the upstream uses HTTP or HTTPS.
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// Returns the host in lower case. An IPv6 address has no brackets.
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
        is_loopback(&self.host)
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

fn is_loopback(host: &str) -> bool {
    host == "localhost"
        || host.ends_with(".localhost")
        || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback() || ip.is_unspecified())
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
            ("https://sentry.io:", InvalidUrl::Port),
            ("https:// sentry.io", InvalidUrl::Malformed),
        ] {
            assert_eq!(Upstream::parse(url), Err(why), "{url}");
        }
    }

    #[test]
    fn recognizes_loopback_in_every_spelling() {
        for host in ["localhost", "127.0.0.1", "127.9.9.9", "[::1]", "app.localhost", "LOCALHOST", "0.0.0.0"]
        {
            assert!(Upstream::parse(&format!("http://{host}:9000")).unwrap().is_loopback(), "{host}");
        }
        assert!(!Upstream::parse("http://localhost.example.com").unwrap().is_loopback());
    }
}
