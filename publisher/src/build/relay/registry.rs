//! Sentry's release registry: which files a version of Relay consists of.

use crate::{build::relay::client, model::arch::Arch};
use serde::Deserialize;
use std::{collections::BTreeMap, thread, time::Duration};
use ureq::Agent;

/// Where Sentry keeps it.
pub(crate) const DEFAULT: &str = "https://release-registry.services.sentry.io";
const ATTEMPTS: u32 = 3;
const LARGEST: u64 = 1024 * 1024;

/// The name of an architecture's binary in a release of Relay.
pub(crate) fn file_name(arch: Arch) -> &'static str {
    match arch {
        Arch::Arm64 => "relay-Linux-aarch64",
        Arch::X86_64 => "relay-Linux-x86_64",
    }
}

/// What is said of a version. The registry has no checksums of Relay.
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

/// The registry did not tell.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RegistryError {
    /// No answer.
    #[error("cannot ask {url}")]
    Unreachable {
        /// What was asked.
        url: String,
        /// Why.
        source: Box<ureq::Error>,
    },
    /// An answer, but not that.
    #[error("{url} answered {status}")]
    Status {
        /// What was asked.
        url: String,
        /// The answer.
        status: u16,
    },
    /// It does not know the version.
    #[error("the release registry {registry} knows no Relay {version}")]
    Unknown {
        /// Which registry.
        registry: String,
        /// Which version.
        version: String,
    },
    /// A web page, or an answer about something else.
    #[error("{url} did not answer with the release: {why}")]
    Answer {
        /// What was asked.
        url: String,
        /// What is wrong.
        why: String,
    },
}

impl RegistryRelease {
    /// Asks the registry. Its service has no `.json` at the end of the path; its files do, where they are mirrored.
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

    /// Where a file is.
    pub(crate) fn url(&self, file: &str) -> Option<&str> {
        self.files.get(file).map(|file| &file.url).or_else(|| self.file_urls.get(file)).map(String::as_str)
    }
}

/// The text, or none where there is none.
fn get(agent: &Agent, url: &str) -> Result<Option<String>, RegistryError> {
    let mut attempt = 1;
    loop {
        let failure = match ask_once(agent, url) {
            Ok((200, text)) => return Ok(Some(text)),
            Ok((404, _)) => return Ok(None),
            Ok((status, _)) => {
                (client::is_passing_status(status), RegistryError::Status { url: url.to_owned(), status })
            }
            Err(error) => (
                client::is_passing(&error),
                RegistryError::Unreachable { url: url.to_owned(), source: Box::new(error) },
            ),
        };
        match failure {
            (true, _) if attempt < ATTEMPTS => thread::sleep(Duration::from_millis(200) * attempt),
            (_, error) => return Err(error),
        }
        attempt += 1;
    }
}

fn ask_once(agent: &Agent, url: &str) -> Result<(u16, String), ureq::Error> {
    let mut answer = agent.get(url).call()?;
    let status = answer.status().as_u16();
    let text = answer.body_mut().with_config().limit(LARGEST).lossy_utf8(true).read_to_string()?;
    Ok((status, text))
}
