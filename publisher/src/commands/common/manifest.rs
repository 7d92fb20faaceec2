//! Reads `dist/layers.json` for the commands, and reports what is missing in it.

use crate::{
    artifacts::layers_manifest::{LayersError, LayersManifest},
    aws::{
        audience::AccountId,
        layer_arn::{BadLayerArn, LayerArn},
        partition::RegionName,
        regions::RegionPattern,
    },
    commands::common::newest_version::LayerQuery,
    failure::{Code, Failure},
    model::{arch::Arch, variant::LayerKind},
    snippets::{ArnTable, RegionArns},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    iter::repeat,
    path::Path,
};

/// The failure for a layer that the manifest does not have in `region`. Its hint lists the regions that have the layer.
pub(crate) fn missing_layer(
    manifest: &LayersManifest,
    kind: LayerKind,
    region: Option<&RegionPattern>,
    arch: Option<Arch>,
) -> Failure {
    let regions: BTreeSet<&str> = manifest
        .layers(kind)
        .iter()
        .filter(|(it, _)| arch.is_none_or(|wanted| it.includes(wanted)))
        .flat_map(|(_, layer)| layer.regions.keys().map(RegionName::as_str))
        .collect();
    let relay = if kind == LayerKind::Relay { " with Relay" } else { "" };
    let what = arch.map_or_else(|| "the layer".to_owned(), |arch| format!("the {arch} layer"));
    let version = &manifest.version;
    if regions.is_empty() {
        return Failure::message(Code::Failed, format!("{what}{relay} of {version} is in no region"))
            .hint("publish it with `publisher publish --execute`");
    }
    let region = region.map_or_else(|| "any region".to_owned(), ToString::to_string);
    Failure::message(Code::Failed, format!("{what}{relay} of {version} is not in {region}"))
        .hint(format!("it is in: {}", regions.into_iter().collect::<Vec<_>>().join(" ")))
}

/// The names of all layers in the manifest.
pub(crate) fn names(manifest: &LayersManifest) -> BTreeSet<String> {
    let layers = LayerKind::ALL.into_iter().flat_map(|kind| manifest.layers(kind).values());
    layers.map(|layer| layer.name.to_string()).collect()
}

/// The query for the newest version of a layer in the manifest. Fails if the manifest lacks the layer or its owner.
pub(crate) fn layer_query(
    manifest: &LayersManifest,
    kind: LayerKind,
    region: &RegionName,
    arch: Arch,
) -> Result<LayerQuery, Failure> {
    let layer = manifest.layer_for(kind, arch);
    let owner = manifest.accounts.get(&region.partition());
    let (Some(layer), Some(owner)) = (layer, owner) else {
        return Err(missing_layer(manifest, kind, Some(&RegionPattern::Exact(region.clone())), Some(arch)));
    };
    let account = AccountId::try_from(owner.clone()).map_err(Failure::new)?;
    Ok(LayerQuery { region: region.clone(), arch, account, name: layer.name.clone() })
}

/// Fails if the release was yanked: its ARNs are not to be attached any more.
pub(crate) fn refuse_yanked(manifest: &LayersManifest) -> Result<(), Failure> {
    let Some(yanked) = &manifest.yanked else { return Ok(()) };
    let text = format!("{} was {yanked}", manifest.version);
    Err(Failure::message(Code::Failed, text)
        .hint("use the layers.json of another release; `publisher arn --include-yanked` prints the ARNs all the same"))
}

/// Fails if the manifest says that this layer version was yanked.
pub(crate) fn refuse_yanked_version(manifest: &LayersManifest, arn: &LayerArn) -> Result<(), Failure> {
    let text = arn.to_string();
    let is_here = manifest.all().flat_map(|(_, layer)| layer.regions.values()).any(|place| place.arn == text);
    if is_here { refuse_yanked(manifest) } else { Ok(()) }
}

/// The ARNs in the manifest to attach. Fails if the release was yanked.
pub(crate) fn arns(
    manifest: &LayersManifest,
    kind: LayerKind,
    wanted: &[RegionPattern],
    arch: Option<Arch>,
) -> Result<ArnTable, Failure> {
    refuse_yanked(manifest)?;
    arns_even_if_yanked(manifest, kind, wanted, arch)
}

/// The ARNs in the manifest, filtered by `kind`, by `arch` if it is given, and by `regions` if any are named.
pub(crate) fn arns_even_if_yanked(
    manifest: &LayersManifest,
    kind: LayerKind,
    wanted: &[RegionPattern],
    arch: Option<Arch>,
) -> Result<ArnTable, Failure> {
    let mut rows: BTreeMap<RegionName, RegionArns> = BTreeMap::new();
    let mut runtimes = BTreeMap::new();
    // A layer for both architectures is in both columns.
    let layers = manifest.layers(kind).iter().flat_map(|(it, layer)| it.arches().iter().zip(repeat(layer)));
    for (it, layer) in layers.filter(|(it, _)| arch.is_none_or(|wanted| wanted == **it)) {
        runtimes.insert(*it, layer.runtimes.clone().unwrap_or_default());
        for (place, placement) in &layer.regions {
            if wanted.is_empty() || wanted.iter().any(|wanted| wanted.matches(place)) {
                let arn: LayerArn = placement.arn.parse().map_err(damaged)?;
                rows.entry(place.clone()).or_default().insert(*it, arn);
            }
        }
    }
    let with = if kind == LayerKind::Relay { " with Relay" } else { "" };
    let yanked = manifest.yanked.as_ref().map(ToString::to_string);
    let mark = yanked.as_ref().map(|yanked| format!(" ({yanked})")).unwrap_or_default();
    let title = format!("{} {}{with}{mark}", manifest.what(), manifest.version);
    let other = manifest.other_layer.clone();
    Ok(ArnTable { title, version: Some(manifest.version.clone()), yanked, kind, other, rows, runtimes })
}

fn damaged(error: BadLayerArn) -> Failure {
    Failure::new(error).hint("layers.json was changed by hand: restore it from the history")
}

/// Reads `layers.json` in the folder `dist`. The failure has a hint for the user.
pub(crate) fn open(dist: &Path) -> Result<LayersManifest, Failure> {
    LayersManifest::open(dist).map_err(|error| match error {
        LayersError::NotPublished(_) => Failure::new(error)
            .hint("it is written by `publisher publish --execute`; --dist names the folder to look in"),
        error => unreadable(error),
    })
}

/// The failure for a `layers.json` that is there, but cannot be used.
pub(crate) fn unreadable(error: LayersError) -> Failure {
    Failure::new(error)
        .hint("restore it from the history, or move it away and run `publisher publish --execute` again")
}
