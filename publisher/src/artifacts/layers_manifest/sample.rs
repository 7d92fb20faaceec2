//! A manifest for tests in which every field is set.

use crate::{
    artifacts::{
        build_manifest::Toolchain,
        layers_manifest::{Layer, LayersManifest, OtherLayer, Placement, RelayInside},
    },
    aws::{audience::Audience, partition::Partition},
    model::{
        arch::Arch,
        digest::Digest,
        layer_arch::LayerArch,
        layer_name::LayerName,
        variant::{LayerKind, Variant},
    },
};
use std::collections::BTreeMap;

/// A manifest with both architectures and both kinds, in eu-west-1 and us-east-1.
pub(crate) fn full() -> LayersManifest {
    let of_kind = |kind| Arch::ALL.map(|arch| (arch.into(), layer(Variant::new(arch, kind), b"zip"))).into();
    LayersManifest {
        schema: 1,
        version: "1.2.3".to_owned(),
        commit: Some("0123456789abcdef0123456789abcdef01234567".to_owned()),
        toolchain: Some(toolchain()),
        other_layer: None,
        yanked: None,
        accounts: BTreeMap::from([(Partition::Aws, "123456789012".to_owned())]),
        layers: of_kind(LayerKind::Plain),
        relay_layers: of_kind(LayerKind::Relay),
    }
}

/// A manifest of a layer that is not the extension's, with one zip for both architectures.
pub(crate) fn other() -> LayersManifest {
    let arch = LayerArch::Both;
    let other = OtherLayer {
        name_template: "TeamSdk".to_owned(),
        license: "MIT".to_owned(),
        canonical: Some("aws-layer:team".to_owned()),
    };
    let layer = Layer {
        name: LayerName::try_from("TeamSdk".to_owned()).unwrap(),
        runtimes: Some(vec!["python3.14".to_owned()]),
        ..layer(Variant::new(arch, LayerKind::Plain), b"sdk")
    };
    LayersManifest {
        schema: 3,
        commit: None,
        toolchain: None,
        other_layer: Some(other),
        layers: BTreeMap::from([(arch, layer)]),
        relay_layers: BTreeMap::new(),
        ..full()
    }
}

pub(crate) fn toolchain() -> Toolchain {
    Toolchain {
        rustc: "rustc 1.95.0".to_owned(),
        cargo_lambda: "cargo-lambda 1.9.2".to_owned(),
        zig: "0.17.1".to_owned(),
        std: "prebuilt".to_owned(),
    }
}

/// A layer whose zip has these bytes.
pub(crate) fn layer(Variant { arch, kind }: Variant, zip: &[u8]) -> Layer {
    let digest = Digest::of(zip);
    let name = match kind {
        LayerKind::Plain => format!("SentryLambdaExtension-{arch}"),
        LayerKind::Relay => format!("SentryLambdaExtensionRelay-{arch}"),
    };
    let placement = |region: &str| Placement {
        arn: format!("arn:aws:lambda:{region}:123456789012:layer:{name}:7"),
        version: 7,
        grant: Audience::public(),
        grant_before_yank: None,
        verified_at: "2026-11-23T05:46:48Z".to_owned(),
    };
    let relay = RelayInside {
        version: "26.9.0".to_owned(),
        sha256: Digest::of(b"relay"),
        glibc: Some("2.28".to_owned()),
    };
    let with_relay = kind == LayerKind::Relay;
    Layer {
        sha256: digest,
        code_sha256: digest.base64(),
        size: zip.len() as u64,
        relay: with_relay.then_some(relay),
        runtimes: with_relay.then(|| vec!["provided.al2023".to_owned(), "python3.14".to_owned()]),
        regions: ["eu-west-1", "us-east-1"].map(|region| (region.parse().unwrap(), placement(region))).into(),
        missing_regions: ["af-south-1".parse().unwrap()].into(),
        name: LayerName::try_from(name).unwrap(),
    }
}
