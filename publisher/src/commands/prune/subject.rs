//! The subjects of pruning: layers whose versions are the releases, and name patterns that match one layer per release.

use crate::{
    artifacts::layers_manifest::LayersManifest,
    aws::partition::RegionName,
    failure::{Code, Failure, chain},
    model::{
        layer_arch::LayerArch,
        layer_name::{self, LayerName},
        variant::{LayerKind, Variant},
    },
    prune::name_pattern::NamePattern,
};
use std::collections::BTreeSet;

/// A layer, or a pattern of layers, whose old releases may be deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Subject {
    /// One layer. Each of its versions is a release.
    Numbered(Variant, LayerName),
    /// All layers whose names match the pattern. Each layer is a release.
    Named(Variant, NamePattern),
}

impl Subject {
    pub(super) fn variant(&self) -> Variant {
        match self {
            Self::Numbered(variant, _) | Self::Named(variant, _) => *variant,
        }
    }
}

impl std::fmt::Display for Subject {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Numbered(_, name) => name.fmt(f),
            Self::Named(_, pattern) => pattern.fmt(f),
        }
    }
}

/// The subjects for all names that layers of `kind` have in the manifests.
pub(super) fn of_manifests(kind: LayerKind, manifests: &[LayersManifest]) -> Vec<Subject> {
    let mut subjects = Vec::new();
    for manifest in manifests {
        let other = manifest.other_layer.as_ref().map(|other| other.name_template.as_str());
        let template = other.filter(|template| layer_name::names_the_release(template));
        for (arch, layer) in manifest.layers(kind) {
            let variant = Variant::new(*arch, kind);
            let of_release = layer_name::release_template(kind, &manifest.version);
            let is_named = layer.name.as_str() == of_release.replace("{arch}", arch.name());
            let subject = match template {
                Some(template) => Subject::Named(variant, NamePattern::of_template(template, *arch)),
                None if is_named => Subject::Named(variant, NamePattern::of_release(kind, *arch)),
                None => Subject::Numbered(variant, layer.name.clone()),
            };
            if !subjects.contains(&subject) {
                subjects.push(subject);
            }
        }
    }
    subjects
}

/// The subjects for a template from the command line, one for each of these layers.
pub(super) fn of_template(
    kind: LayerKind,
    template: &str,
    arches: &[LayerArch],
) -> Result<Vec<Subject>, Failure> {
    let names = layer_name::names_for(template, "0.0.0", arches)
        .map_err(|error| Failure::message(Code::Usage, chain(&error)))?;
    let subject = |(arch, name): (LayerArch, LayerName)| {
        let variant = Variant::new(arch, kind);
        if layer_name::names_the_release(template) {
            Subject::Named(variant, NamePattern::of_template(template, arch))
        } else {
            Subject::Numbered(variant, name)
        }
    };
    Ok(names.into_iter().map(subject).collect())
}

/// The versions of `layer` in `region` that the manifests name.
pub(super) fn named(manifests: &[LayersManifest], region: &RegionName, layer: &str) -> BTreeSet<i64> {
    let layers = manifests.iter().flat_map(LayersManifest::all).map(|(_, layer)| layer);
    layers
        .filter(|l| l.name.as_str() == layer)
        .filter_map(|l| l.regions.get(region))
        .map(|place| place.version)
        .collect()
}

/// The names of all layers in the manifests.
pub(super) fn named_layers(manifests: &[LayersManifest]) -> BTreeSet<&str> {
    manifests.iter().flat_map(LayersManifest::all).map(|(_, layer)| layer.name.as_str()).collect()
}
