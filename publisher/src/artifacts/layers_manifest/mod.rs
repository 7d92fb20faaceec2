//! `dist/layers.json`: what was published, where. `arn` prints from it, `verify` checks it, a release commits it.
//!
//! Its shape is for others to read too: `publisher/layers.schema.json` is the same in JSON Schema. Both are strict,
//! since a field that is not known here would be lost when the file is written again.

mod error;
mod last_regions;
mod merge;
#[cfg(test)]
pub(crate) mod sample;
#[cfg(test)]
mod schema_tests;

pub(crate) use error::LayersError;
pub(crate) use last_regions::LastRegions;

use crate::{
    artifacts::{atomic_file::AtomicFile, build_manifest::Toolchain},
    aws::{
        audience::Audience,
        partition::{Partition, RegionName},
    },
    model::{
        arch::Arch,
        digest::Digest,
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

/// The file's name inside `dist/`.
pub(crate) const FILE: &str = "layers.json";
/// The version of the shape that this version reads and writes.
const SCHEMA: u32 = 1;

/// The shape of `layers.json`. Maps are sorted, so the same content is the same text.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LayersManifest {
    /// Version of this shape: 1.
    pub(crate) schema: u32,
    /// The release's version.
    pub(crate) version: String,
    /// The commit built.
    pub(crate) commit: String,
    /// The tools that made the bytes.
    pub(crate) toolchain: Toolchain,
    /// The accounts that own the layers: one in each partition.
    pub(crate) accounts: BTreeMap<Partition, String>,
    /// Those with the extension alone.
    pub(crate) layers: BTreeMap<Arch, Layer>,
    /// Those with Relay as well; none where none were published.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) relay_layers: BTreeMap<Arch, Layer>,
}

/// One layer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Layer {
    /// Its name, the same in all regions.
    #[serde(rename = "layer_name")]
    pub(crate) name: LayerName,
    /// Of the zip, in hex.
    pub(crate) sha256: Digest,
    /// The same in base64, as Lambda has it.
    pub(crate) code_sha256: String,
    /// Of the zip.
    pub(crate) size: u64,
    /// Sentry's own Relay, where the layer carries it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) relay: Option<RelayInside>,
    /// The runtimes that it is for (Lambda's `CompatibleRuntimes`), of a layer with Relay; an empty list: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) runtimes: Option<Vec<String>>,
    /// Where it is.
    pub(crate) regions: BTreeMap<RegionName, Placement>,
    /// Where the last release had it, and this one has not.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub(crate) missing_regions: BTreeSet<RegionName>,
}

/// Which Relay a layer carries.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RelayInside {
    /// The released version, or `local` for a file of the builder's own.
    pub(crate) version: String,
    /// Of the binary as it is in the layer.
    pub(crate) sha256: Digest,
    /// The glibc that it needs; none for a static binary.
    pub(crate) glibc: Option<String>,
}

/// One region's version of a layer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Placement {
    /// With the version at its end: what a function attaches.
    pub(crate) arn: String,
    /// The version's number.
    pub(crate) version: i64,
    /// Who may use it.
    pub(crate) grant: Audience,
    /// When it was first read back as it is here, RFC 3339 in UTC: a run that changes nothing does not change it.
    pub(crate) verified_at: String,
}

impl LayersManifest {
    /// Reads `dist/layers.json`.
    pub(crate) fn open(dist: &Path) -> Result<Self, LayersError> {
        Self::read(&dist.join(FILE))
    }

    /// Reads a manifest under whatever name.
    pub(crate) fn read(path: &Path) -> Result<Self, LayersError> {
        let path = path.to_owned();
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(LayersError::NotPublished(path));
            }
            Err(source) => return Err(LayersError::Read { path, source }),
        };
        // Whoever meets a later shape should hear of that, and not of its first strange field.
        let SchemaField { schema } = parse(&text, &path)?;
        if schema != SCHEMA {
            return Err(LayersError::Schema { path, found: schema });
        }
        parse(&text, &path)
    }

    /// The layers of a kind.
    pub(crate) fn layers(&self, kind: LayerKind) -> &BTreeMap<Arch, Layer> {
        match kind {
            LayerKind::Plain => &self.layers,
            LayerKind::Relay => &self.relay_layers,
        }
    }

    fn layers_mut(&mut self, kind: LayerKind) -> &mut BTreeMap<Arch, Layer> {
        match kind {
            LayerKind::Plain => &mut self.layers,
            LayerKind::Relay => &mut self.relay_layers,
        }
    }

    /// One of them.
    pub(crate) fn layer(&self, variant: Variant) -> Option<&Layer> {
        self.layers(variant.kind).get(&variant.arch)
    }

    /// All layers.
    pub(crate) fn all(&self) -> impl Iterator<Item = (Variant, &Layer)> {
        let of_kind =
            |kind| self.layers(kind).iter().map(move |(arch, layer)| (Variant::new(*arch, kind), layer));
        LayerKind::ALL.into_iter().flat_map(of_kind)
    }

    /// Notes where a layer is.
    pub(crate) fn place(&mut self, variant: Variant, region: RegionName, placement: Placement) {
        if let Some(layer) = self.layers_mut(variant.kind).get_mut(&variant.arch) {
            layer.regions.insert(region, placement);
        }
    }

    /// Puts the manifest in place of the file.
    pub(crate) fn write(&self, aside: AtomicFile) -> Result<(), LayersError> {
        let path = PathBuf::from(FILE);
        let mut text =
            serde_json::to_vec_pretty(self).map_err(|source| LayersError::Parse { path, source })?;
        text.push(b'\n');
        Ok(aside.replace(&text)?)
    }
}

#[derive(Deserialize)]
struct SchemaField {
    schema: u32,
}

fn parse<T: serde::de::DeserializeOwned>(text: &[u8], path: &Path) -> Result<T, LayersError> {
    serde_json::from_slice(text).map_err(|source| LayersError::Parse { path: path.to_owned(), source })
}
