//! The upstream hosts that an envelope may name. The list keeps the extension from being an open proxy.

use super::host;
use super::upstream::Upstream;
use std::net::IpAddr;

/// The allow-list: the configured upstream hosts, sentry.io with all its subdomains, and the entries of
/// `SENTRY_EXTENSION_ALLOWED_HOSTS`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AllowedHosts {
    exact: Vec<String>,
    /// Each suffix starts with a dot, such as `.example.com`.
    suffixes: Vec<String>,
}

impl AllowedHosts {
    /// Creates the list from Sentry's own hosts and the hosts of the `configured` upstreams.
    pub fn new<'a>(configured: impl IntoIterator<Item = &'a Upstream>) -> Self {
        let mut exact: Vec<String> = configured.into_iter().map(|u| u.host().to_owned()).collect();
        exact.push("sentry.io".to_owned());
        Self { exact, suffixes: vec![".sentry.io".to_owned()] }
    }

    /// Adds one entry of the setting: a host, or `*.example.com` for every host below `example.com`. Returns what is
    /// wrong with an entry that is neither. An entry with a port is not taken for its host, because that would allow
    /// more than the user wanted.
    pub fn add(&mut self, pattern: &str) -> Result<(), &'static str> {
        let pattern = pattern.trim();
        let (host, is_suffix) = match pattern.strip_prefix("*.") {
            Some(host) => (host, true),
            None => (pattern, false),
        };
        let canonical = host::canonical(host).ok_or_else(|| mistake(host))?;
        match (is_suffix, canonical.parse::<IpAddr>()) {
            (true, Ok(_)) => return Err("is a `*` before an address"),
            (true, Err(_)) => self.suffixes.push(format!(".{canonical}")),
            (false, _) => self.exact.push(canonical),
        }
        Ok(())
    }

    /// Whether envelopes may be sent to this host, which is that of an `Upstream`.
    pub fn contains(&self, host: &str) -> bool {
        self.exact.iter().any(|h| h == host) || self.suffixes.iter().any(|s| host.ends_with(s.as_str()))
    }
}

/// Says what is wrong with an entry. It never quotes the entry, because that may be a DSN with its key.
fn mistake(entry: &str) -> &'static str {
    let host_of_port =
        entry.rsplit_once(':').filter(|(_, port)| port.bytes().all(|byte| byte.is_ascii_digit()));
    if entry.contains("//") || entry.contains(['/', '@']) {
        "is a URL, and not only a host"
    } else if host_of_port.is_some_and(|(host, _)| host::canonical(host).is_some()) {
        "has a port: every port of a host is allowed, or none"
    } else if entry.contains('*') {
        "has a `*` elsewhere than in `*.example.com`"
    } else {
        "is neither a host name nor an address"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn allows_configured_hosts_and_refuses_similar_names() {
        let upstream = Upstream::parse("https://sentry.example.com").unwrap();
        let mut hosts = AllowedHosts::new([&upstream]);
        for entry in [" *.corp.example ", "Relay.example.org.", "[::1]", "0xa000001"] {
            assert_eq!(hosts.add(entry), Ok(()), "{entry}");
        }
        for allowed in [
            "sentry.example.com",
            "sentry.io",
            "o1.ingest.us.sentry.io",
            "a.b.corp.example",
            "relay.example.org",
            "::1",
            "10.0.0.1",
        ] {
            assert!(hosts.contains(allowed), "{allowed}");
        }
        for refused in ["example.com", "corp.example", "evilsentry.io", "sentry.io.evil.com", "127.0.0.1", ""]
        {
            assert!(!hosts.contains(refused), "{refused}");
        }
    }

    #[test]
    fn refuses_invalid_patterns() {
        let mut hosts = AllowedHosts::default();
        for (entry, why) in [
            ("", "neither"),
            ("*", "`*`"),
            ("*example.com", "`*`"),
            ("a*.example.com", "`*`"),
            ("*.a.*", "`*`"),
            ("*.10.0.0.1", "before an address"),
            ("*.", "neither"),
            ("https://example.com", "URL"),
            ("key@example.com", "URL"),
            ("example.com/x", "URL"),
            ("example.com:443", "port"),
            ("[::1]:443", "port"),
            ("*.example.com:443", "port"),
            ("example.com:", "port"),
            ("example..com", "neither"),
            ("..", "neither"),
            (".example.com", "neither"),
            ("*..example.com", "neither"),
            ("ex ample.com", "neither"),
            ("b\u{fc}cher.example", "neither"),
            ("256.0.0.1", "neither"),
        ] {
            let mistake = hosts.add(entry).unwrap_err();
            assert!(mistake.contains(why), "{entry}: {mistake}");
        }
        assert_eq!(hosts, AllowedHosts::default());
    }
}
