//! The upstream hosts that an envelope may name. The list keeps the extension from being an open proxy.

use super::upstream::Upstream;

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

    /// Adds one entry of the setting: a host, or `*.example.com` for every host below `example.com`.
    /// Returns `false` if the entry is neither.
    pub fn add(&mut self, pattern: &str) -> bool {
        let pattern = pattern.trim().to_ascii_lowercase();
        let (list, host) = match pattern.strip_prefix('*') {
            Some(suffix) => match suffix.strip_prefix('.') {
                Some(host) => (&mut self.suffixes, host),
                None => return false,
            },
            None => (&mut self.exact, pattern.trim_start_matches('[').trim_end_matches(']')),
        };
        if host.is_empty() || host.contains(['*', '/', '@', ' ']) {
            return false;
        }
        list.push(if pattern.starts_with('*') { format!(".{host}") } else { host.to_owned() });
        true
    }

    /// Whether envelopes may be sent to this host. The host must be in lower case and without brackets.
    pub fn contains(&self, host: &str) -> bool {
        self.exact.iter().any(|h| h == host) || self.suffixes.iter().any(|s| host.ends_with(s.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn allows_configured_hosts_and_refuses_similar_names() {
        let upstream = Upstream::parse("https://sentry.example.com").unwrap();
        let mut hosts = AllowedHosts::new([&upstream]);
        assert!(hosts.add(" *.corp.example "));
        assert!(hosts.add("Relay.example.org"));
        assert!(hosts.add("[::1]"));
        for allowed in [
            "sentry.example.com",
            "sentry.io",
            "o1.ingest.us.sentry.io",
            "a.b.corp.example",
            "relay.example.org",
            "::1",
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
        for pattern in ["", "*", "*example.com", "*.", "https://example.com", "a*.example.com", "*.a.*"] {
            assert!(!hosts.add(pattern), "{pattern}");
        }
        assert_eq!(hosts, AllowedHosts::default());
    }
}
