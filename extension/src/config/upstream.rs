//! Where envelopes go: scheme, host, port and path prefix of a Sentry, parsed once.

use hyper::Uri;
use std::fmt;
use std::net::IpAddr;

/// Plain or encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// Plain HTTP: loopback, or configured on purpose.
    Http,
    /// HTTP over TLS.
    Https,
}

/// A Sentry that receives envelopes, e.g. `https://o1.ingest.sentry.io` or `http://relay.local:3000/prefix`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Upstream {
    scheme: Scheme,
    /// Lower case, without the brackets of an IPv6 address.
    host: String,
    port: u16,
    /// Empty, or `/some/path` without a slash at its end.
    prefix: String,
}

/// Why a text is no upstream. Never holds the text: it may contain a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InvalidUrl {
    /// It does not parse as an absolute URL.
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
    /// Parses a URL; user information, query and fragment are ignored.
    pub fn parse(url: &str) -> Result<Self, InvalidUrl> {
        let uri: Uri = url.trim().parse().map_err(|_| InvalidUrl::Malformed)?;
        let path = uri.path().to_owned();
        Self::from_uri(&uri, &path)
    }

    /// The upstream of a parsed URL whose path prefix is `prefix`.
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

    /// Plain or encrypted.
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// Lower case; an IPv6 address without brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port, also where the URL left it out.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The path and query on this upstream of an API path that starts with a slash.
    pub fn path(&self, api: &str) -> String {
        format!("{}{api}", self.prefix)
    }

    /// The value of a `Host` header: the port only where it is not the scheme's own.
    pub fn authority(&self) -> String {
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        match (self.scheme, self.port) {
            (Scheme::Http, 80) | (Scheme::Https, 443) => host,
            (_, port) => format!("{host}:{port}"),
        }
    }

    /// Host and port, as `CONNECT` wants them.
    pub fn host_and_port(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }

    /// Whether it is this very machine.
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

/// The text behind the host's colon, which `Uri` does not hold to be a number.
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
    fn urls_in_and_out() {
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
    fn what_is_no_upstream() {
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
    fn loopback_in_every_spelling() {
        for host in ["localhost", "127.0.0.1", "127.9.9.9", "[::1]", "app.localhost", "LOCALHOST", "0.0.0.0"]
        {
            assert!(Upstream::parse(&format!("http://{host}:9000")).unwrap().is_loopback(), "{host}");
        }
        assert!(!Upstream::parse("http://localhost.example.com").unwrap().is_loopback());
    }
}
