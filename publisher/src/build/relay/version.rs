//! The version of Sentry's Relay: as a user names it, and as a binary contains it.

use std::{io::BufRead, str::FromStr};

/// A version that is safe to use in a URL and in a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RelayVersion(String);

impl RelayVersion {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// The version that a binary of Sentry's Relay reports with its own errors, such as `relay@26.9.0`. Strings in a
    /// binary have no ends, and a digit of the next one could follow. So the shortest of all places decides.
    pub(crate) fn in_binary(binary: &[u8]) -> Option<Self> {
        let mut versions: Vec<Self> = Vec::new();
        let mut rest = binary;
        // std searches quickly even where this crate is not optimized, and a binary has 50 MB.
        while rest.skip_until(b'@').is_ok_and(|skipped| skipped > 0) {
            let front = binary.get(..binary.len() - rest.len());
            if front.is_some_and(|front| front.ends_with(b"relay@")) {
                versions.extend(Self::at_start(rest));
            }
        }
        versions.into_iter().min_by_key(|version| version.0.len())
    }

    /// The version of three numbers at the start of these bytes.
    fn at_start(bytes: &[u8]) -> Option<Self> {
        let end = bytes.iter().position(|byte| !byte.is_ascii_digit() && *byte != b'.')?;
        let text = std::str::from_utf8(bytes.get(..end)?).ok()?.trim_end_matches('.');
        let numbers: Vec<&str> = text.split('.').collect();
        let fits = numbers.len() == 3 && numbers.iter().all(|number| (1..=3).contains(&number.len()));
        fits.then(|| Self(text.to_owned()))
    }
}

#[derive(Debug, thiserror::Error)]
#[error("`{0}` is not a version such as 26.9.0")]
pub(crate) struct BadRelayVersion(String);

impl FromStr for RelayVersion {
    type Err = BadRelayVersion;

    fn from_str(text: &str) -> Result<Self, BadRelayVersion> {
        let fits = text.starts_with(|first: char| first.is_ascii_digit())
            && text.contains('.')
            && !text.contains("..")
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-+".contains(&byte));
        if fits { Ok(Self(text.to_owned())) } else { Err(BadRelayVersion(text.to_owned())) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_cannot_contain_a_path() {
        for good in ["26.9.0", "26.9.0-rc.1"] {
            assert!(good.parse::<RelayVersion>().is_ok(), "{good}");
        }
        for bad in ["", "latest", "26", "../26.9.0", "26.9.0/../..", "26.9.0?x", "26..9", "relay"] {
            assert!(bad.parse::<RelayVersion>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_binary_says_its_version() {
        let version = |binary: &[u8]| RelayVersion::in_binary(binary).map(|version| version.0);
        assert_eq!(version(b"\0relay@26.9.0relay-server").as_deref(), Some("26.9.0"));
        assert_eq!(
            version(b"relay@26.9.01 relay@26.9.0x").as_deref(),
            Some("26.9.0"),
            "a digit follows the first"
        );
        assert_eq!(version(b"see relay@sentry.io, relay@26.9.0.\0").as_deref(), Some("26.9.0"));
        for none in [&b""[..], b"relay@", b"relay@26.9", b"relay@deadbeef0000", b"relay@20260901.1.1 "] {
            assert_eq!(version(none), None);
        }
    }
}
