//! Attacks what reads `layers.json`.

#![allow(clippy::expect_used, clippy::indexing_slicing)]

use super::{LayersManifest, SchemaField, parse};
use std::path::Path;

/// What is read of a manifest is written as it was read.
pub(crate) fn layers_manifest(data: &[u8]) {
    let path = Path::new("layers.json");
    let _ = parse::<SchemaField>(data, path);
    let Ok(manifest) = parse::<LayersManifest>(data, path) else { return };
    let written = serde_json::to_vec(&manifest).expect("a manifest can be written");
    let again = parse::<LayersManifest>(&written, path).expect("what was written can be read");
    assert_eq!(again, manifest);
    assert_eq!(manifest.all().count(), manifest.layers.len() + manifest.relay_layers.len());
}
