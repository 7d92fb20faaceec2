//! The `layers.json` from which `arn` and `attach` take the ARNs: a folder, a file, a URL, or the one inside this
//! program.

use crate::{
    artifacts::{
        built_in_layers,
        layers_manifest::{LayersError, LayersManifest},
    },
    build::relay::client::{self, NoRoots},
    commands::common::manifest,
    failure::Failure,
};
use std::{
    convert::Infallible,
    path::{Path, PathBuf},
    str::FromStr,
};

/// The folder into which `publish` writes, unless told otherwise.
const DIST: &str = "dist";
/// The most bytes of a list. One of 40 regions with four layers has 50 KB.
const LARGEST: u64 = 4 * 1024 * 1024;

/// Where the layers are listed, on the command line.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct ManifestOptions {
    /// The folder with layers.json [default: the layers inside this publisher if it is a released one, else dist]
    #[arg(long, value_name = "DIR")]
    dist: Option<PathBuf>,

    /// The layers.json of any release: a file, or a URL
    #[arg(long, value_name = "URL|FILE", conflicts_with = "dist")]
    manifest: Option<ManifestLocation>,
}

/// A `layers.json` on this machine or elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
enum ManifestLocation {
    File(PathBuf),
    Url(String),
}

impl FromStr for ManifestLocation {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        let is_url = ["https://", "http://"].iter().any(|scheme| text.starts_with(scheme));
        Ok(if is_url { Self::Url(text.to_owned()) } else { Self::File(text.into()) })
    }
}

/// Why there is no list at a URL.
#[derive(Debug, thiserror::Error)]
enum FetchError {
    /// Whoever is on the way could put other layers into it, and a layer's code runs in the function.
    #[error("{0} has no TLS, and a list of layers has to come over TLS")]
    Plain(String),
    #[error(transparent)]
    Roots(#[from] NoRoots),
    #[error("cannot download {url}")]
    Unreachable { url: String, source: Box<ureq::Error> },
    #[error("cannot download {url}: the server answered {status}")]
    Status { url: String, status: u16 },
}

impl ManifestOptions {
    /// Reads the list of layers.
    pub(crate) fn open(&self) -> Result<LayersManifest, Failure> {
        match (&self.manifest, &self.dist) {
            (Some(ManifestLocation::Url(url)), _) => {
                let text = fetch(url).map_err(|error| {
                    Failure::new(error).hint("name the layers.json of a release, e.g. \
                    https://github.com/OWNER/NAME/releases/download/v1.2.3/layers.json")
                })?;
                LayersManifest::parse(text.as_bytes(), Path::new(url)).map_err(not_a_list)
            }
            (Some(ManifestLocation::File(file)), _) => LayersManifest::read(file).map_err(not_a_list),
            (None, Some(folder)) => manifest::open(folder),
            (None, None) => match built_in_layers::manifest() {
                Some(manifest) => manifest.map_err(not_a_list),
                None => LayersManifest::open(Path::new(DIST)).map_err(|error| match error {
                    LayersError::NotPublished(_) => Failure::new(error).hint(
                        "this publisher was built from source and has no layers inside: name the layers.json of a \
                         release with\n--manifest URL|FILE, or write one with `publisher publish --execute`",
                    ),
                    error => manifest::unreadable(error),
                }),
            },
        }
    }

    /// Does the same as `open`, but returns `None` if the folder has no list yet.
    pub(crate) fn open_if_any(&self) -> Result<Option<LayersManifest>, Failure> {
        let folder = match (&self.manifest, &self.dist) {
            (None, Some(folder)) => folder,
            (None, None) if built_in_layers::manifest().is_none() => Path::new(DIST),
            _ => return self.open().map(Some),
        };
        match LayersManifest::open(folder) {
            Err(LayersError::NotPublished(_)) => Ok(None),
            _ => self.open().map(Some),
        }
    }

    /// The folder for files that belong to the list: its own, or the current one if it is in none.
    pub(crate) fn folder(&self) -> PathBuf {
        match (&self.manifest, &self.dist) {
            (None, Some(folder)) => folder.clone(),
            (None, None) if built_in_layers::manifest().is_none() => DIST.into(),
            _ => PathBuf::new(),
        }
    }
}

fn not_a_list(error: LayersError) -> Failure {
    Failure::new(error).hint("name the layers.json of a release with --manifest URL|FILE")
}

fn fetch(url: &str) -> Result<String, FetchError> {
    if !is_safe(url) {
        return Err(FetchError::Plain(url.to_owned()));
    }
    let url = url.to_owned();
    match client::fetch(&client::agent(&url)?, &url, LARGEST) {
        Ok((200, text)) => Ok(text),
        Ok((status, _)) => Err(FetchError::Status { url, status }),
        Err(source) => Err(FetchError::Unreachable { url, source: Box::new(source) }),
    }
}

/// Whether nobody on the way can change what the URL gives: it has TLS, or it is on this machine.
fn is_safe(url: &str) -> bool {
    let Some(rest) = url.strip_prefix("http://") else { return true };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = match authority.strip_prefix('[') {
        Some(rest) => rest.split(']').next(),
        None => authority.split(':').next(),
    };
    let host = host.unwrap_or_default();
    // A name before `@` is no host.
    !authority.contains('@')
        && (host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_told_from_a_file() {
        let url = "https://example.com/layers.json";
        assert_eq!(url.parse(), Ok(ManifestLocation::Url(url.to_owned())));
        for file in ["layers.json", "./https/layers.json", "/tmp/layers.json", "httpsx://a"] {
            assert_eq!(file.parse(), Ok(ManifestLocation::File(file.into())));
        }
    }

    #[test]
    fn without_tls_only_this_machine_is_asked() {
        for safe in
            ["https://example.com/x", "http://127.0.0.1:80/x", "http://localhost/x", "http://[::1]:8/x"]
        {
            assert!(is_safe(safe), "{safe}");
        }
        for unsafe_url in [
            "http://example.com/",
            "http://127.0.0.1.example.com/",
            "http://127.0.0.1@example.com/",
            "http://",
        ] {
            assert!(!is_safe(unsafe_url), "{unsafe_url}");
        }
    }
}
