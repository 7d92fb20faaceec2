//! The proxies between the extension and upstream. `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY` set them, in upper or
//! lower case.

use super::upstream::{InvalidUrl, Scheme, Upstream, parse_uri};
use crate::protocol::percent_decoded;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::header::HeaderValue;
use std::fmt;
use std::net::IpAddr;

/// An HTTP proxy that is reached over TCP or over TLS. `Debug` does not print its password.
#[derive(Clone, PartialEq, Eq)]
pub struct Proxy {
    /// The scheme, host and port of the proxy. Its path prefix is always empty.
    pub address: Upstream,
    /// The value of the `Proxy-Authorization` header, if the URL has a user.
    pub authorization: Option<HeaderValue>,
}

impl Proxy {
    /// Parses the URL of a proxy. A URL without a scheme means `http`, as in other programs.
    pub fn parse(text: &str) -> Result<Self, InvalidUrl> {
        let text = text.trim();
        let text = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
        let uri = parse_uri(&text)?;
        let authority = uri.authority().map(hyper::http::uri::Authority::as_str).unwrap_or_default();
        let user = authority.rsplit_once('@').map(|(user, _)| percent_decoded(user));
        let basic = |user: Vec<u8>| HeaderValue::try_from(format!("Basic {}", STANDARD.encode(user)));
        let authorization = user.map(basic).transpose().map_err(|_| InvalidUrl::Malformed)?;
        Ok(Self { address: Upstream::from_uri(&uri, "")?, authorization })
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Proxy({})", self.address)
    }
}

/// The proxies by the scheme of the upstream, and the upstreams that need none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Proxies {
    /// The proxy for upstreams with `https`.
    pub https: Option<Proxy>,
    /// The proxy for upstreams with `http`.
    pub http: Option<Proxy>,
    /// The upstreams that are reached without a proxy.
    pub exceptions: Vec<Exception>,
}

impl Proxies {
    /// Returns the proxy for an upstream, or `None` if it is reached directly. A loopback upstream never has a proxy.
    pub fn to(&self, upstream: &Upstream) -> Option<&Proxy> {
        let proxy = match upstream.scheme() {
            Scheme::Https => self.https.as_ref(),
            Scheme::Http => self.http.as_ref(),
        }?;
        let direct = upstream.is_loopback() || self.exceptions.iter().any(|e| e.covers(upstream));
        (!direct).then_some(proxy)
    }
}

/// An entry of `NO_PROXY`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Exception {
    /// Every upstream: `*`.
    All,
    /// A host and all hosts below it: `example.com`, `.example.com` or `*.example.com`. With a port, only that port.
    Host(String, Option<u16>),
    /// A network and the length of its prefix in bits: `10.0.0.0/8`, `fd00::/8` or a single address.
    Network(IpAddr, u8),
}

impl Exception {
    /// Parses the value of `NO_PROXY`. Commas or spaces separate the entries, and invalid entries are skipped.
    pub fn list(text: &str) -> Vec<Self> {
        let separator = |c: char| c == ',' || c.is_whitespace();
        text.split(separator).filter(|entry| !entry.is_empty()).filter_map(Self::parse).collect()
    }

    fn parse(entry: &str) -> Option<Self> {
        if entry == "*" {
            return Some(Self::All);
        }
        let (address, bits) = entry.split_once('/').map_or((entry, None), |(a, b)| (a, Some(b)));
        let bare = address.trim_start_matches('[').trim_end_matches(']');
        if let Ok(ip) = bare.parse::<IpAddr>() {
            let width = if ip.is_ipv4() { 32 } else { 128 };
            let bits = bits.map_or(Some(width), |bits| bits.parse().ok().filter(|bits| *bits <= width))?;
            return Some(Self::Network(ip, bits));
        }
        let (host, port) = match entry.rsplit_once(':') {
            Some((host, port)) => (host, Some(port.parse().ok()?)),
            None => (entry, None),
        };
        let host = host.trim_start_matches('*').trim_matches('.').to_ascii_lowercase();
        (!host.is_empty()).then_some(Self::Host(host, port))
    }

    fn covers(&self, upstream: &Upstream) -> bool {
        match self {
            Self::All => true,
            Self::Host(host, port) => {
                let named = upstream.host();
                let below = named.strip_suffix(host.as_str()).is_some_and(|rest| rest.ends_with('.'));
                (named == host || below) && port.is_none_or(|port| port == upstream.port())
            }
            Self::Network(network, bits) => {
                upstream.host().parse().is_ok_and(|ip: IpAddr| in_network(ip, *network, *bits))
            }
        }
    }
}

fn in_network(ip: IpAddr, network: IpAddr, bits: u8) -> bool {
    match (ip, network) {
        (IpAddr::V4(a), IpAddr::V4(b)) => share_prefix(a.to_bits().into(), b.to_bits().into(), 32, bits),
        (IpAddr::V6(a), IpAddr::V6(b)) => share_prefix(a.to_bits(), b.to_bits(), 128, bits),
        _ => false,
    }
}

fn share_prefix(a: u128, b: u128, width: u32, bits: u8) -> bool {
    let shift = width.saturating_sub(u32::from(bits));
    // `/0` shifts by the whole width of 128 bits, which gives `None`. Then both sides are 0, so every address matches.
    a.checked_shr(shift).unwrap_or_default() == b.checked_shr(shift).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxies(no_proxy: &str) -> Proxies {
        Proxies {
            https: Some(Proxy::parse("http://proxy.corp:3128").unwrap()),
            http: None,
            exceptions: Exception::list(no_proxy),
        }
    }

    fn proxied(no_proxy: &str, upstream: &str) -> bool {
        proxies(no_proxy).to(&Upstream::parse(upstream).unwrap()).is_some()
    }

    #[test]
    fn parses_proxy_urls() {
        let plain = Proxy::parse("proxy.corp:3128").unwrap();
        assert_eq!(plain.address.to_string(), "http://proxy.corp:3128");
        assert_eq!(plain.authorization, None);
        let full = Proxy::parse("https://user:p%40ss@proxy.corp/").unwrap();
        assert_eq!(full.address.to_string(), "https://proxy.corp");
        assert_eq!(full.authorization.unwrap(), format!("Basic {}", STANDARD.encode("user:p@ss")));
        assert!(Proxy::parse("socks5://proxy.corp").is_err());
        let shown = format!("{:?}", Proxy::parse("http://user:secret@proxy.corp").unwrap());
        assert!(!shown.contains("secret"), "{shown}");
    }

    #[test]
    fn the_scheme_selects_the_proxy_and_loopback_has_none() {
        assert!(proxied("", "https://sentry.io"));
        assert!(!proxied("", "http://sentry.io"));
        assert!(!proxied("", "https://localhost"));
        assert!(!proxied("", "https://[::1]:9"));
    }

    #[test]
    fn exceptions_match_hosts_ports_and_networks() {
        for (no_proxy, upstream) in [
            ("*", "https://sentry.io"),
            ("example.com, sentry.io", "https://o1.ingest.sentry.io"),
            ("a.b  .sentry.io", "https://o1.ingest.sentry.io"),
            ("*.SENTRY.io", "https://o1.sentry.io"),
            ("sentry.io:443", "https://sentry.io"),
            ("10.0.0.0/8", "https://10.200.3.4"),
            ("10.1.2.3", "https://10.1.2.3"),
            ("fd00::/8", "https://[fd12::1]"),
            ("0.0.0.0/0", "https://1.2.3.4"),
        ] {
            assert!(!proxied(no_proxy, upstream), "{no_proxy} {upstream}");
        }
        for (no_proxy, upstream) in [
            ("notsentry.io", "https://sentry.io"),
            ("sentry.io", "https://notsentry.io"),
            ("sentry.io:8443", "https://sentry.io"),
            ("10.0.0.0/8", "https://11.0.0.1"),
            ("10.0.0.0/33", "https://10.0.0.1"),
            ("::/0", "https://10.0.0.1"),
            (".", "https://sentry.io"),
        ] {
            assert!(proxied(no_proxy, upstream), "{no_proxy} {upstream}");
        }
    }
}
