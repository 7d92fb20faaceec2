//! Which upstream hosts an envelope may name: the extension is no open proxy.

use super::upstream::Upstream;

/// The allow-list: configured hosts, sentry.io, and what `SENTRY_EXTENSION_ALLOWED_HOSTS` adds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AllowedHosts {
    exact: Vec<String>,
    /// With the leading dot: `.example.com`.
    suffixes: Vec<String>,
}

impl AllowedHosts {
    /// Sentry's own hosts and `configured` ones.
    pub fn new<'a>(configured: impl IntoIterator<Item = &'a Upstream>) -> Self {
        let mut exact: Vec<String> = configured.into_iter().map(|u| u.host().to_owned()).collect();
        exact.push("sentry.io".to_owned());
        Self { exact, suffixes: vec![".sentry.io".to_owned()] }
    }

    /// Adds one entry of the setting: a host, or `*.example.com` for every host below it.
    /// `false`: the entry is neither.
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

    /// Whether envelopes may go to this host (lower case, no brackets).
    pub fn contains(&self, host: &str) -> bool {
        self.exact.iter().any(|h| h == host) || self.suffixes.iter().any(|s| host.ends_with(s.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_let_through() {
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
    fn patterns_that_mean_nothing() {
        let mut hosts = AllowedHosts::default();
        for pattern in ["", "*", "*example.com", "*.", "https://example.com", "a*.example.com", "*.a.*"] {
            assert!(!hosts.add(pattern), "{pattern}");
        }
        assert_eq!(hosts, AllowedHosts::default());
    }
}
