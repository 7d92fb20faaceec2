//! Parses the name of an image in a registry.

use std::{fmt, str::FromStr};

/// Docker Hub's name, and the host of its API.
const DOCKER_HUB: &str = "docker.io";
const DOCKER_HUB_API: &str = "registry-1.docker.io";
/// The limit for a tag, in characters.
const MAX_TAG: usize = 128;

/// The name of an image: `ghcr.io/owner/name` or `localhost:5000/name:1.2.3`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reference {
    /// The host, with its port if that is not the usual one.
    pub(crate) registry: String,
    pub(crate) repository: String,
    /// `None` if the version of the release is the tag.
    pub(crate) tag: Option<String>,
}

/// The text does not name an image.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadReference {
    #[error("`{0}` has to begin with the host of the registry, like ghcr.io/owner/name")]
    NoRegistry(String),
    #[error("`{0}` names a digest; an image is pushed under a tag")]
    Digest(String),
    #[error("`{0}` is not the name of an image: REGISTRY/NAME or REGISTRY/NAME:TAG, in lower case")]
    Form(String),
}

impl Reference {
    /// The URL of the registry's API. A registry on this machine speaks plain HTTP.
    pub(crate) fn api(&self) -> String {
        let host = if self.registry == DOCKER_HUB { DOCKER_HUB_API } else { &self.registry };
        let scheme = if is_loopback(&self.registry) { "http" } else { "https" };
        format!("{scheme}://{host}")
    }
}

/// Whether a host, with or without a port, is this machine.
pub(crate) fn is_loopback(host: &str) -> bool {
    if let Some(rest) = host.strip_prefix('[') {
        return rest.split(']').next() == Some("::1");
    }
    let name = host.split(':').next().unwrap_or_default();
    name == "localhost" || name.parse::<std::net::Ipv4Addr>().is_ok_and(|address| address.is_loopback())
}

impl FromStr for Reference {
    type Err = BadReference;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let form = || BadReference::Form(text.to_owned());
        let no_registry = || BadReference::NoRegistry(text.to_owned());
        let (registry, rest) = text.split_once('/').ok_or_else(no_registry)?;
        if text.contains('@') {
            return Err(BadReference::Digest(text.to_owned()));
        }
        // Only a host has a dot or a port. Docker takes every other first word for a user of Docker Hub.
        if !registry.contains(['.', ':']) && registry != "localhost" {
            return Err(no_registry());
        }
        if !is_host(registry) {
            return Err(form());
        }
        let (repository, tag) = match rest.split_once(':') {
            Some((repository, tag)) => (repository, Some(tag)),
            None => (rest, None),
        };
        let is_official = registry == DOCKER_HUB && !repository.contains('/');
        let repository = if is_official { format!("library/{repository}") } else { repository.to_owned() };
        if repository.len() > 255 || !repository.split('/').all(is_component) || !tag.is_none_or(is_tag) {
            return Err(form());
        }
        Ok(Self { registry: registry.to_owned(), repository, tag: tag.map(str::to_owned) })
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.registry, self.repository)?;
        self.tag.as_ref().map_or(Ok(()), |tag| write!(f, ":{tag}"))
    }
}

fn is_host(text: &str) -> bool {
    let (host, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, rest)) if address.parse::<std::net::Ipv6Addr>().is_ok() => {
            return rest.is_empty() || rest.strip_prefix(':').is_some_and(is_port);
        }
        _ => text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port))),
    };
    let good = |c: char| c.is_ascii_alphanumeric() || c == '-';
    host.split('.').all(|label| !label.is_empty() && label.chars().all(good)) && port.is_none_or(is_port)
}

fn is_port(text: &str) -> bool {
    text.parse::<u16>().is_ok_and(|port| port > 0)
}

/// Whether a part of a repository is lower-case letters and digits, with single separators between them.
fn is_component(text: &str) -> bool {
    let is_word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    text.starts_with(is_word)
        && text.ends_with(is_word)
        && text.chars().all(|c| is_word(c) || "._-".contains(c))
        && !["..", "._", "_.", ".-", "-.", "___", "_-", "-_"].iter().any(|pair| text.contains(pair))
}

fn is_tag(text: &str) -> bool {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    text.len() <= MAX_TAG
        && text.starts_with(is_word)
        && text.chars().all(|c| is_word(c) || c == '.' || c == '-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_and_written_alike() {
        for (text, registry, repository, tag) in [
            ("ghcr.io/owner/name", "ghcr.io", "owner/name", None),
            ("localhost:5000/name:1.2.3", "localhost:5000", "name", Some("1.2.3")),
            ("[::1]:5000/a/b__c-d:latest", "[::1]:5000", "a/b__c-d", Some("latest")),
            (
                "123456789012.dkr.ecr.eu-west-1.amazonaws.com/x",
                "123456789012.dkr.ecr.eu-west-1.amazonaws.com",
                "x",
                None,
            ),
        ] {
            let parsed: Reference = text.parse().unwrap();
            let expected = (registry, repository, tag.map(str::to_owned));
            assert_eq!((parsed.registry.as_str(), parsed.repository.as_str(), parsed.tag.clone()), expected);
            assert_eq!(parsed.to_string(), text);
        }
        let hub: Reference = "docker.io/name".parse().unwrap();
        assert_eq!(
            (hub.repository.as_str(), hub.api()),
            ("library/name", "https://registry-1.docker.io".to_owned())
        );
    }

    #[test]
    fn only_this_machine_is_spoken_to_without_tls() {
        let api = |text: &str| text.parse::<Reference>().unwrap().api();
        for loopback in ["localhost:5000", "127.0.0.1:5000", "[::1]:5000", "127.8.9.1:1"] {
            assert_eq!(api(&format!("{loopback}/x")), format!("http://{loopback}"));
        }
        for other in ["ghcr.io", "10.0.0.1:5000", "localhost.example.com", "127.0.0.1.example.com"] {
            assert_eq!(api(&format!("{other}/x")), format!("https://{other}"));
        }
    }

    #[test]
    fn other_texts_are_refused() {
        for text in ["name", "owner/name", "", "/name"] {
            assert!(matches!(text.parse::<Reference>(), Err(BadReference::NoRegistry(_))), "{text}");
        }
        assert!(matches!("ghcr.io/x@sha256:00".parse::<Reference>(), Err(BadReference::Digest(_))));
        for text in [
            "ghcr.io/",
            "ghcr.io/Name",
            "ghcr.io/a//b",
            "ghcr.io/../b",
            "ghcr.io/a:",
            "ghcr.io/a:b:c",
            "ghcr.io/a:.x",
            "ghcr.io:0/a",
            "ghcr.io:x/a",
            "user:pass@ghcr.io/a",
            "https://ghcr.io/a",
            "ghcr.io/a b",
            "ghcr..io/a",
        ] {
            assert!(text.parse::<Reference>().is_err(), "{text}");
        }
    }
}
