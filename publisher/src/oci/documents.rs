//! The JSON documents of an image: configuration, manifest and index, by the OCI Image Format Specification 1.1.
//!
//! The types are our own, because those of the crate `oci-spec` keep annotations in hash maps. Their order differs from
//! run to run, and so would the digest of the image.

use crate::model::{arch::Arch, digest::Digest};
use serde::Serialize;
use std::collections::BTreeMap;

pub(crate) const INDEX: &str = "application/vnd.oci.image.index.v1+json";
pub(crate) const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub(crate) const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
pub(crate) const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

/// The time of everything in an image. A real one would make every build of the same release different.
const EPOCH: &str = "1970-01-01T00:00:00Z";

/// Annotations by name, in sorted order.
pub(crate) type Annotations = BTreeMap<&'static str, String>;

/// A content of the image, with the digest that names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Blob {
    pub(crate) media_type: &'static str,
    pub(crate) digest: Digest,
    pub(crate) bytes: Vec<u8>,
}

impl Blob {
    pub(crate) fn new(media_type: &'static str, bytes: Vec<u8>) -> Self {
        Self { media_type, digest: Digest::of(&bytes), bytes }
    }

    /// The digest as registries and image layouts write it.
    pub(crate) fn name(&self) -> String {
        format!("sha256:{}", self.digest)
    }

    fn of_json(media_type: &'static str, document: &impl Serialize) -> serde_json::Result<Self> {
        Ok(Self::new(media_type, serde_json::to_vec(document)?))
    }

    pub(crate) fn descriptor(&self) -> Descriptor {
        Descriptor {
            media_type: self.media_type,
            digest: self.name(),
            size: self.bytes.len(),
            platform: None,
            annotations: Annotations::new(),
        }
    }
}

/// Points to a blob.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Descriptor {
    media_type: &'static str,
    digest: String,
    size: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    platform: Option<Platform>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    annotations: Annotations,
}

impl Descriptor {
    pub(crate) fn for_arch(self, arch: Arch) -> Self {
        Self { platform: Some(Platform { architecture: go_name(arch), os: "linux" }), ..self }
    }

    pub(crate) fn annotated(self, annotations: Annotations) -> Self {
        Self { annotations, ..self }
    }
}

#[derive(Clone, Debug, Serialize)]
struct Platform {
    architecture: &'static str,
    os: &'static str,
}

/// Go's name of the architecture, which images use.
fn go_name(arch: Arch) -> &'static str {
    match arch {
        Arch::Arm64 => "arm64",
        Arch::X86_64 => "amd64",
    }
}

#[derive(Serialize)]
struct Configuration<'a> {
    architecture: &'static str,
    os: &'static str,
    created: &'static str,
    config: Execution,
    rootfs: RootFs,
    history: [History<'a>; 1],
}

/// How to run the image. It is empty, because nobody runs it.
#[derive(Serialize)]
struct Execution {}

#[derive(Serialize)]
struct RootFs {
    r#type: &'static str,
    /// The digest of the uncompressed archive.
    diff_ids: [String; 1],
}

#[derive(Serialize)]
struct History<'a> {
    created: &'static str,
    created_by: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Manifest<'a> {
    schema_version: u32,
    media_type: &'static str,
    config: Descriptor,
    layers: [Descriptor; 1],
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    annotations: &'a Annotations,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Index<'a> {
    schema_version: u32,
    media_type: &'static str,
    manifests: &'a [Descriptor],
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    annotations: &'a Annotations,
}

/// The configuration of an image with one layer. `diff_id` is the digest of the uncompressed archive.
pub(crate) fn config(arch: Arch, diff_id: Digest, created_by: &str) -> serde_json::Result<Blob> {
    let rootfs = RootFs { r#type: "layers", diff_ids: [format!("sha256:{diff_id}")] };
    let history = [History { created: EPOCH, created_by }];
    let architecture = go_name(arch);
    let config = Execution {};
    let configuration = Configuration { architecture, os: "linux", created: EPOCH, config, rootfs, history };
    Blob::of_json(CONFIG, &configuration)
}

pub(crate) fn manifest(config: &Blob, layer: &Blob, annotations: &Annotations) -> serde_json::Result<Blob> {
    let (config, layers) = (config.descriptor(), [layer.descriptor()]);
    Blob::of_json(
        MANIFEST,
        &Manifest { schema_version: 2, media_type: MANIFEST, config, layers, annotations },
    )
}

pub(crate) fn index(manifests: &[Descriptor], annotations: &Annotations) -> serde_json::Result<Blob> {
    Blob::of_json(INDEX, &Index { schema_version: 2, media_type: INDEX, manifests, annotations })
}
