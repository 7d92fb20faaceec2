//! Renders the ARNs of a release as Markdown tables, for release notes and the summary of a GitHub Actions job.

use crate::{
    artifacts::layers_manifest::{Layer, LayersManifest},
    aws::partition::RegionName,
    model::{layer_arch::LayerArch, variant::LayerKind},
};
use std::collections::{BTreeMap, BTreeSet};

/// Renders one row for each region and one column for each architecture. Layers with Relay get a table of their own.
pub(crate) fn arn_table(manifest: &LayersManifest) -> String {
    let tables = LayerKind::ALL.into_iter().filter_map(|kind| {
        let layers = manifest.layers(kind);
        let rows = rows(layers)?;
        Some(match kind {
            LayerKind::Plain => rows,
            LayerKind::Relay => format!("{}\n\n{rows}", heading(layers)),
        })
    });
    tables.collect::<Vec<_>>().join("\n\n")
}

fn heading(layers: &BTreeMap<LayerArch, Layer>) -> String {
    let versions: BTreeSet<&str> = layers
        .values()
        .filter_map(|layer| layer.relay.as_ref())
        .map(|relay| relay.version.as_str())
        .collect();
    format!("With Sentry's own Relay ({}):", versions.into_iter().collect::<Vec<_>>().join(", "))
}

fn rows(layers: &BTreeMap<LayerArch, Layer>) -> Option<String> {
    let mut rows: BTreeMap<&RegionName, BTreeMap<LayerArch, String>> = BTreeMap::new();
    for (arch, layer) in layers {
        for (region, place) in &layer.regions {
            rows.entry(region).or_default().insert(*arch, place.arn.clone());
        }
    }
    (!rows.is_empty()).then(|| table(&rows))
}

/// Renders ARNs, given by region and architecture, as one table.
pub(crate) fn table<A: Copy + Ord + ToString>(rows: &BTreeMap<&RegionName, BTreeMap<A, String>>) -> String {
    let columns: BTreeSet<A> = rows.values().flat_map(|row| row.keys().copied()).collect();
    let line = |cells: Vec<String>| format!("| {} |", cells.join(" | "));
    let head = std::iter::once("Region".to_owned()).chain(columns.iter().map(ToString::to_string));
    let separator = vec!["---".to_owned(); columns.len() + 1];
    let row = |(region, row): (&&RegionName, &BTreeMap<A, String>)| {
        let cell = |arch| row.get(arch).map_or_else(|| "–".to_owned(), |arn| format!("`{arn}`"));
        line(std::iter::once(format!("`{region}`")).chain(columns.iter().map(cell)).collect())
    };
    let all: Vec<String> =
        [line(head.collect()), line(separator)].into_iter().chain(rows.iter().map(row)).collect();
    all.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::artifacts::layers_manifest::sample;

    #[test]
    fn regions_are_rows_and_architectures_are_columns() {
        let mut manifest = sample::full();
        let removed = "us-east-1".parse().unwrap();
        manifest.layers.get_mut(&LayerArch::X86_64).unwrap().regions.remove(&removed);
        let arn = |region, layer| format!("`arn:aws:lambda:{region}:123456789012:layer:{layer}:7`");
        let name = |kind: &str, arch| format!("SentryLambdaExtension{kind}-{arch}");
        let row = |region, kind| {
            let [arm64, x86_64] = ["arm64", "x86_64"].map(|arch| arn(region, name(kind, arch)));
            format!("| `{region}` | {arm64} | {x86_64} |")
        };
        let head = "| Region | arm64 | x86_64 |\n| --- | --- | --- |";
        let expected = [
            head,
            &row("eu-west-1", ""),
            &format!("| `us-east-1` | {} | – |", arn("us-east-1", name("", "arm64"))),
            "",
            "With Sentry's own Relay (26.9.0):",
            "",
            head,
            &row("eu-west-1", "Relay"),
            &row("us-east-1", "Relay"),
        ];
        assert_eq!(arn_table(&manifest), expected.join("\n"));
        manifest.relay_layers.clear();
        assert_eq!(arn_table(&manifest).lines().count(), 4);
        manifest.layers.clear();
        assert_eq!(arn_table(&manifest), "");
    }
}
