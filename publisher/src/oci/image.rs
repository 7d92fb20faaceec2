//! Makes an image of layer zips: for each architecture an image with one layer, and an index of them.

use crate::{
    artifacts::bundle::{Bundle, Zip},
    model::{
        arch::Arch,
        digest::Digest,
        variant::{LayerKind, Variant},
    },
    oci::{
        documents::{self, Annotations, Blob},
        root_filesystem::{self, RootError},
    },
};

/// The image of one architecture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ArchImage {
    pub(crate) arch: Arch,
    pub(crate) config: Blob,
    pub(crate) layer: Blob,
    pub(crate) manifest: Blob,
}

/// The images of all architectures, and the index that lists them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Image {
    /// The tag: the version of the release and, with Sentry's Relay, `-relay`.
    pub(crate) tag: String,
    pub(crate) images: Vec<ArchImage>,
    pub(crate) index: Blob,
}

/// Why there is no image.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ImageError {
    #[error("the {variant} zip cannot become an image")]
    Root { variant: Variant, source: RootError },
    #[error("the documents of the image cannot be written")]
    Json(#[from] serde_json::Error),
}

impl Image {
    /// Makes the image of all zips in the bundle. `source` is the URL of the repository that they were built from.
    pub(crate) fn of(bundle: &Bundle, kind: LayerKind, source: Option<&str>) -> Result<Self, ImageError> {
        let annotations = annotations(bundle, kind, source);
        let mut images = Vec::new();
        for zip in &bundle.zips {
            if let Some(arch) = zip.variant.arch.single() {
                images.push(ArchImage::of(zip, arch, &annotations)?);
            }
        }
        let manifests: Vec<_> =
            images.iter().map(|image| image.manifest.descriptor().for_arch(image.arch)).collect();
        let index = documents::index(&manifests, &annotations)?;
        Ok(Self { tag: tag(&bundle.version, kind), images, index })
    }

    /// Everything in the image. What names another content comes after it.
    pub(crate) fn blobs(&self) -> impl Iterator<Item = &Blob> {
        self.images
            .iter()
            .flat_map(|image| [&image.config, &image.layer, &image.manifest])
            .chain(std::iter::once(&self.index))
    }
}

impl ArchImage {
    fn of(zip: &Zip, arch: Arch, annotations: &Annotations) -> Result<Self, ImageError> {
        let failed = |source| ImageError::Root { variant: zip.variant, source };
        let archive = root_filesystem::archive(&zip.bytes).map_err(failed)?;
        let compressed = root_filesystem::compressed(&archive).map_err(|error| failed(error.into()))?;
        let layer = Blob::new(documents::LAYER, compressed);
        let created_by = format!("publisher image: the files of the layer zip with sha256 {}", zip.digest);
        let config = documents::config(arch, Digest::of(&archive), &created_by)?;
        let manifest = documents::manifest(&config, &layer, annotations)?;
        Ok(Self { arch, config, layer, manifest })
    }
}

/// The tag for a version. A tag has no `+`.
pub(crate) fn tag(version: &str, kind: LayerKind) -> String {
    let suffix = match kind {
        LayerKind::Plain => "",
        LayerKind::Relay => "-relay",
    };
    format!("{}{suffix}", version.replace('+', "_"))
}

fn annotations(bundle: &Bundle, kind: LayerKind, source: Option<&str>) -> Annotations {
    let (title, licenses) = match kind {
        LayerKind::Plain => ("Sentry Lambda extension", "BSD-3-Clause"),
        // An SPDX expression names a licence that is not on SPDX's list like this.
        LayerKind::Relay => {
            ("Sentry Lambda extension with Relay", "BSD-3-Clause AND LicenseRef-Sentry-Relay")
        }
    };
    let mut annotations = Annotations::from([
        ("org.opencontainers.image.description", "COPY --from=… /opt/ /opt/".to_owned()),
        ("org.opencontainers.image.licenses", licenses.to_owned()),
        ("org.opencontainers.image.title", title.to_owned()),
        ("org.opencontainers.image.version", bundle.version.clone()),
    ]);
    if let Some(commit) = bundle.commit().filter(|commit| *commit != "unknown") {
        annotations.insert("org.opencontainers.image.revision", commit.to_owned());
    }
    if let Some(source) = source {
        annotations.insert("org.opencontainers.image.source", source.to_owned());
    }
    annotations
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_version_is_a_tag() {
        assert_eq!(tag("1.2.3", LayerKind::Plain), "1.2.3");
        assert_eq!(tag("1.2.3-rc.1+b.5", LayerKind::Relay), "1.2.3-rc.1_b.5-relay");
    }
}
