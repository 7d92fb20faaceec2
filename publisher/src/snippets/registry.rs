//! Snippet for Sentry's release registry: one file for each layer under `aws-lambda-layers/`, in the registry's own
//! format.
//!
//! Readers of the registry know one account. They build an ARN from the account, the layer's name and the version in
//! a region, always in the partition `aws`. So layers of other partitions cannot be listed there.
//!
//! What is not known is left out. The registry's tools lay a file over one with the fields that are common to all
//! releases of a layer, and a null would replace what is there.

use crate::{
    artifacts::layers_manifest::OtherLayer,
    aws::partition::{Partition, RegionName},
    model::{arch::Arch, variant::LayerKind},
    snippets::{ArnTable, Snippet, SnippetError},
};
use serde::Serialize;
use std::collections::BTreeMap;

/// The beginning of the names of all layers in the registry.
pub(crate) const CANONICAL_PREFIX: &str = "aws-layer:";

/// A file of the registry.
#[derive(Serialize)]
#[serde(untagged)]
enum RegistryFile<'a> {
    Layer(RegistryLayer<'a>),
    /// A symbolic link to another file in the same folder.
    Link(String),
}

/// The fields and their order are those of the registry.
#[derive(Serialize)]
struct RegistryLayer<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    canonical: String,
    sdk_version: &'a str,
    account_number: &'a str,
    layer_name: &'a str,
    regions: Vec<RegistryRegion<'a>>,
    /// Empty if the layer is for all runtimes, which the registry cannot express.
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    compatible_runtimes: &'a [String],
    /// That the release was yanked. The registry has no such field of its own, and its readers ignore what they do not
    /// know.
    #[serde(skip_serializing_if = "Option::is_none")]
    yanked: Option<&'a str>,
}

#[derive(Serialize)]
struct RegistryRegion<'a> {
    region: &'a RegionName,
    version: String,
}

pub(crate) fn render(table: &ArnTable) -> Result<Snippet, SnippetError> {
    let release = table.version.as_deref().ok_or(SnippetError::NoRelease)?;
    let mut layers: BTreeMap<String, RegistryLayer<'_>> = BTreeMap::new();
    let mut left_out = Vec::new();
    for (region, arch, arn) in table.arns() {
        if arn.partition() != Partition::Aws {
            left_out.push(arn.to_string());
            continue;
        }
        let layer = registry_name(table, arch)?;
        let folder = format!("aws-lambda-layers/{layer}");
        let file = layers.entry(folder).or_insert_with(|| RegistryLayer {
            name: table.other.is_none().then(|| format!("AWS Lambda Extension Layer ({arch})")),
            canonical: format!("{CANONICAL_PREFIX}{layer}"),
            sdk_version: release,
            account_number: arn.account.as_str(),
            layer_name: arn.name.as_str(),
            regions: Vec::new(),
            compatible_runtimes: table.runtimes.get(&arch).map_or(&[], Vec::as_slice),
            yanked: table.yanked.as_deref(),
        });
        // A layer for both architectures is there once.
        if file.regions.last().is_none_or(|last| last.region != region) {
            file.regions.push(RegistryRegion { region, version: arn.version.to_string() });
        }
    }
    if layers.is_empty() {
        return Err(SnippetError::NoCommercialRegion);
    }
    // Nothing may lead to a release that was yanked.
    let links = if table.yanked.is_some() { Vec::new() } else { links(release) };
    let mut files = BTreeMap::new();
    for (folder, layer) in layers {
        for link in &links {
            files.insert(format!("{folder}/{link}.json"), RegistryFile::Link(format!("{release}.json")));
        }
        files.insert(format!("{folder}/{release}.json"), RegistryFile::Layer(layer));
    }
    let name = if table.other.is_some() { "name, " } else { "" };
    let mut notes = vec![format!(
        "{name}repo_url, main_docs_url and created_at are left out, because layers.json does not have them; without \
         compatible_runtimes a layer is for all of them"
    )];
    if let Some(yanked) = &table.yanked {
        let text = format!("{yanked}: let latest.json and the like point to another release");
        notes.push(text);
    } else if links.is_empty() {
        notes.push(
            "a prerelease has no links: latest.json and the like stay with the last release".to_owned(),
        );
    } else {
        let note = format!(
            "a text instead of an object is a symbolic link to that file: {}; keep those that point to a newer release",
            links.join(", ")
        );
        notes.push(note);
    }
    if !left_out.is_empty() {
        notes
            .push(format!("left out, since the registry has the partition aws only: {}", left_out.join(" ")));
    }
    Ok(Snippet { text: serde_json::to_string_pretty(&files)?, notes })
}

/// The name of a layer in the registry, without the prefix.
fn registry_name(table: &ArnTable, arch: Arch) -> Result<String, SnippetError> {
    let Some(OtherLayer { canonical, .. }) = &table.other else {
        let kind = if table.kind == LayerKind::Relay { "extension-relay" } else { "extension" };
        return Ok(format!("{kind}-{arch}"));
    };
    let name = canonical.as_deref().and_then(|name| name.strip_prefix(CANONICAL_PREFIX));
    Ok(name.ok_or(SnippetError::NoCanonicalName)?.replace("{arch}", arch.name()))
}

/// The links to a release: the newest of all, of its major and of its minor version. A prerelease has none.
fn links(release: &str) -> Vec<String> {
    let (core, _) = release.split_once('+').unwrap_or((release, ""));
    let numbers: Vec<&str> = core.split('.').collect();
    match numbers[..] {
        [major, minor, _] if !core.contains('-') => {
            vec!["latest".to_owned(), major.to_owned(), format!("{major}.{minor}")]
        }
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::links;

    #[test]
    fn a_release_is_the_newest_of_its_kind_and_a_prerelease_is_not() {
        assert_eq!(links("1.20.3"), ["latest", "1", "1.20"]);
        assert_eq!(links("1.20.3+build-7"), ["latest", "1", "1.20"]);
        assert!(links("1.20.3-rc.1").is_empty());
        assert!(links("1.20").is_empty());
    }
}
