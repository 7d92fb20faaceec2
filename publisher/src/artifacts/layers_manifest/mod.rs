//! `dist/layers.json`: the layers that were published, and where. `arn` prints from it, `verify` checks it, and a
//! release commits it.
//!
//! Other tools may read it too: `publisher/layers.schema.json` describes the same format as JSON Schema. Both reject
//! unknown fields, because an unknown field would be lost when the file is written again.

mod error;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod last_regions;
mod merge;
mod other_layer;
#[cfg(test)]
pub(crate) mod sample;
#[cfg(test)]
mod schema_tests;
mod yank;

pub(crate) use error::LayersError;
pub(crate) use last_regions::LastRegions;
pub(crate) use other_layer::OtherLayer;
pub(crate) use yank::{Reason, Yanked};

use crate::{
    artifacts::{atomic_file::AtomicFile, build_manifest::Toolchain},
    aws::{
        audience::Audience,
        partition::{Partition, RegionName},
    },
    model::{
        arch::Arch,
        digest::Digest,
        layer_arch::LayerArch,
        layer_name::LayerName,
        variant::{LayerKind, Variant},
    },
};
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::{Path, PathBuf},
};

/// The name of the file in `dist/`.
pub(crate) const FILE: &str = "layers.json";
/// The format version of a release that is not yanked.
const SCHEMA: u32 = 1;
/// The format version of a yanked release. It has one field more, and one more for each region.
const YANKED_SCHEMA: u32 = 2;
/// The format version of layers that are not the extension's, yanked or not.
const OTHER_SCHEMA: u32 = 3;

/// The content of `layers.json`. Its maps are sorted, so that equal content gives equal text.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LayersManifest {
    /// The version of this format: 1, or 2 if the release was yanked, or 3 for layers that are not the extension's.
    pub(crate) schema: u32,
    pub(crate) version: String,
    /// The commit that the extension's layers were built from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) commit: Option<String>,
    /// The tools that built the extension's layers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) toolchain: Option<Toolchain>,
    /// Set if the layers are not the extension's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) other_layer: Option<OtherLayer>,
    /// Set if the release was yanked. It stays until the layers are restored in every region.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) yanked: Option<Yanked>,
    /// The accounts that own the layers, one for each partition.
    pub(crate) accounts: BTreeMap<Partition, String>,
    /// The layers with the extension alone, or those that are not the extension's.
    pub(crate) layers: BTreeMap<LayerArch, Layer>,
    /// The layers with Sentry's own Relay as well; empty if none were published.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) relay_layers: BTreeMap<LayerArch, Layer>,
}

/// One layer and its version in every region.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Layer {
    /// The layer's name, which is the same in all regions.
    #[serde(rename = "layer_name")]
    pub(crate) name: LayerName,
    /// The digest of the zip, in hex.
    pub(crate) sha256: Digest,
    /// The same digest in base64, as Lambda reports it.
    pub(crate) code_sha256: String,
    /// The size of the zip in bytes.
    pub(crate) size: u64,
    /// Sentry's own Relay, if the layer contains it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) relay: Option<RelayInside>,
    /// The runtimes that the layer is for (Lambda's `CompatibleRuntimes`). An empty list or none means all runtimes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) runtimes: Option<Vec<String>>,
    pub(crate) regions: BTreeMap<RegionName, Placement>,
    /// The regions in which the last release has the layer and this one lacks it.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub(crate) missing_regions: BTreeSet<RegionName>,
}

/// The build of Sentry's Relay in a layer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RelayInside {
    /// The version, or `local` for a binary that does not say its version.
    pub(crate) version: String,
    /// The digest of the binary in the layer.
    pub(crate) sha256: Digest,
    /// The glibc version that the binary needs; null for a static binary.
    pub(crate) glibc: Option<String>,
}

/// The version of a layer in one region.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Placement {
    /// The ARN with the version number at its end, which a function attaches.
    pub(crate) arn: String,
    pub(crate) version: i64,
    /// Who may use the version.
    pub(crate) grant: Audience,
    /// Who could use the version before it was withdrawn. `None` if it is not withdrawn.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) grant_before_yank: Option<Audience>,
    /// When this state was first read back from AWS, as RFC 3339 in UTC. A run that changes nothing keeps the time.
    pub(crate) verified_at: String,
}

impl LayersManifest {
    /// Reads `dist/layers.json`.
    pub(crate) fn open(dist: &Path) -> Result<Self, LayersError> {
        Self::read(&dist.join(FILE))
    }

    /// Reads a manifest from any path.
    pub(crate) fn read(path: &Path) -> Result<Self, LayersError> {
        match fs::read(path) {
            Ok(text) => Self::parse(&text, path),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Err(LayersError::NotPublished(path.to_owned()))
            }
            Err(source) => Err(LayersError::Read { path: path.to_owned(), source }),
        }
    }

    /// Parses the text of a manifest. `path` is where it comes from, for the errors.
    pub(crate) fn parse(text: &[u8], path: &Path) -> Result<Self, LayersError> {
        let path = path.to_owned();
        // The schema version is checked first, so that a newer format is reported as such and not by its first
        // unknown field.
        let SchemaField { schema } = parse(text, &path)?;
        if !(SCHEMA..=OTHER_SCHEMA).contains(&schema) {
            return Err(LayersError::Schema { path, found: schema });
        }
        let manifest: Self = parse(text, &path)?;
        match manifest.contradiction() {
            Some(what) => Err(LayersError::Contradiction { path, found: schema, what }),
            None => Ok(manifest),
        }
    }

    pub(crate) fn layers(&self, kind: LayerKind) -> &BTreeMap<LayerArch, Layer> {
        match kind {
            LayerKind::Plain => &self.layers,
            LayerKind::Relay => &self.relay_layers,
        }
    }

    fn layers_mut(&mut self, kind: LayerKind) -> &mut BTreeMap<LayerArch, Layer> {
        match kind {
            LayerKind::Plain => &mut self.layers,
            LayerKind::Relay => &mut self.relay_layers,
        }
    }

    pub(crate) fn layer(&self, variant: Variant) -> Option<&Layer> {
        self.layers(variant.kind).get(&variant.arch)
    }

    /// The layer for functions of this architecture.
    pub(crate) fn layer_for(&self, kind: LayerKind, arch: Arch) -> Option<&Layer> {
        self.layers(kind).iter().find(|(layer_arch, _)| layer_arch.includes(arch)).map(|(_, layer)| layer)
    }

    /// All layers: first the plain ones, then those with Relay.
    pub(crate) fn all(&self) -> impl Iterator<Item = (Variant, &Layer)> {
        let of_kind =
            |kind| self.layers(kind).iter().map(move |(arch, layer)| (Variant::new(*arch, kind), layer));
        LayerKind::ALL.into_iter().flat_map(of_kind)
    }

    /// Records where a layer is in a region.
    pub(crate) fn place(&mut self, variant: Variant, region: RegionName, placement: Placement) {
        if let Some(layer) = self.layers_mut(variant.kind).get_mut(&variant.arch) {
            layer.regions.insert(region, placement);
        }
    }

    /// Replaces the file with this manifest.
    pub(crate) fn write(&self, file: AtomicFile) -> Result<(), LayersError> {
        let path = PathBuf::from(FILE);
        let mut text =
            serde_json::to_vec_pretty(self).map_err(|source| LayersError::Parse { path, source })?;
        text.push(b'\n');
        Ok(file.replace(&text)?)
    }
}

#[derive(Deserialize)]
struct SchemaField {
    schema: u32,
}

fn parse<T: serde::de::DeserializeOwned>(text: &[u8], path: &Path) -> Result<T, LayersError> {
    serde_json::from_slice(text).map_err(|source| LayersError::Parse { path: path.to_owned(), source })
}
