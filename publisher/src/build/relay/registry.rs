//! Asks Sentry's release registry which files a version of Relay consists of.

use crate::{build::relay::client, model::arch::Arch};
use serde::Deserialize;
use std::collections::BTreeMap;
use ureq::Agent;

/// The URL of Sentry's own registry.
pub(crate) const DEFAULT: &str = "https://release-registry.services.sentry.io";
const MAX_RESPONSE: u64 = 1024 * 1024;

/// The name of an architecture's binary in a release of Relay.
pub(crate) fn file_name(arch: Arch) -> &'static str {
    match arch {
        Arch::Arm64 => "relay-Linux-aarch64",
        Arch::X86_64 => "relay-Linux-x86_64",
    }
}

/// The registry's answer about a version. It has no checksums for Relay.
#[derive(Debug, Deserialize)]
pub(crate) struct RegistryRelease {
    version: String,
    #[serde(default)]
    files: BTreeMap<String, RegistryFile>,
    #[serde(default)]
    file_urls: BTreeMap<String, String>,
}

#[derive(Debug, Deserialize)]
struct RegistryFile {
    url: String,
}

/// Why the registry gave no usable answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RegistryError {
    #[error("cannot ask {url}")]
    Unreachable { url: String, source: Box<ureq::Error> },
    #[error("{url} answered {status}")]
    Status { url: String, status: u16 },
    #[error("the release registry {registry} does not know Relay {version}")]
    Unknown { registry: String, version: String },
    /// The answer is a web page, or it is about something else.
    #[error("{url} did not answer with the release: {why}")]
    Answer { url: String, why: String },
}

impl RegistryRelease {
    /// Asks the registry about a version. Sentry's service has no `.json` at the end of its paths, but a mirror of
    /// its files does.
    pub(crate) fn ask(agent: &Agent, registry: &str, version: &str) -> Result<Self, RegistryError> {
        let registry = registry.trim_end_matches('/');
        for ending in ["", ".json"] {
            let url = format!("{registry}/apps/relay/{version}{ending}");
            let Some(text) = get(agent, &url)? else { continue };
            let wrong = |why: String| RegistryError::Answer { url: url.clone(), why };
            let release: Self = serde_json::from_str(&text).map_err(|error| wrong(error.to_string()))?;
            if release.version != version {
                return Err(wrong(format!("it is about {}", release.version)));
            }
            return Ok(release);
        }
        Err(RegistryError::Unknown { registry: registry.to_owned(), version: version.to_owned() })
    }

    /// The URL of a file of the release.
    pub(crate) fn url(&self, file: &str) -> Option<&str> {
        self.files.get(file).map(|file| &file.url).or_else(|| self.file_urls.get(file)).map(String::as_str)
    }
}

/// Fetches a text. Returns `None` if the server answers 404.
fn get(agent: &Agent, url: &str) -> Result<Option<String>, RegistryError> {
    match client::fetch(agent, url, MAX_RESPONSE) {
        Ok((200, text)) => Ok(Some(text)),
        Ok((404, _)) => Ok(None),
        Ok((status, _)) => Err(RegistryError::Status { url: url.to_owned(), status }),
        Err(error) => Err(RegistryError::Unreachable { url: url.to_owned(), source: Box::new(error) }),
    }
}
