//! `publisher arn`: what a user attaches, from `dist/layers.json` alone.

use crate::{
    arch::Arch,
    aws::partition::RegionName,
    failure::{Code, Failure},
    release::layers::{LayersError, LayersManifest},
    ui::Ui,
};
use serde::Serialize;
use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

/// Arguments of `publisher arn`.
#[derive(clap::Args)]
pub struct Arn {
    /// Only this region's
    #[arg(long)]
    region: Option<RegionName>,

    /// Only this architecture's
    #[arg(long, value_enum)]
    arch: Option<Arch>,

    /// How to print
    #[arg(long, value_enum, default_value = "text")]
    format: Format,

    /// The folder with layers.json
    #[arg(long, value_name = "DIR", default_value = "dist")]
    dist: PathBuf,
}

/// What there is to choose from.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// One ARN a line
    Text,
    /// Region, architecture, version and ARN
    Json,
}

#[derive(Serialize)]
struct Entry<'a> {
    region: &'a RegionName,
    arch: Arch,
    version: i64,
    arn: &'a str,
}

impl Arn {
    /// Does it.
    pub fn run(&self, ui: &Ui) -> Result<(), Failure> {
        let manifest = open_manifest(&self.dist)?;
        let mut entries: Vec<Entry<'_>> = manifest
            .layers
            .iter()
            .filter(|(arch, _)| self.arch.is_none_or(|wanted| wanted == **arch))
            .flat_map(|(arch, layer)| layer.regions.iter().map(|(region, place)| (*arch, region, place)))
            .filter(|(_, region, _)| self.region.as_ref().is_none_or(|wanted| wanted == *region))
            .map(|(arch, region, place)| Entry { region, arch, version: place.version, arn: &place.arn })
            .collect();
        if entries.is_empty() {
            return Err(self.nothing(&manifest));
        }
        entries.sort_by_key(|entry| (entry.region, entry.arch));
        if ui.json() || self.format == Format::Json {
            ui.result(serde_json::to_string_pretty(&entries).map_err(Failure::new)?);
        } else {
            for entry in &entries {
                ui.result(entry.arn);
            }
        }
        Ok(())
    }

    fn nothing(&self, manifest: &LayersManifest) -> Failure {
        let regions: BTreeSet<&str> = manifest
            .layers
            .iter()
            .filter(|(arch, _)| self.arch.is_none_or(|wanted| wanted == **arch))
            .flat_map(|(_, layer)| layer.regions.keys().map(RegionName::as_str))
            .collect();
        let what = self.arch.map_or_else(|| "the layer".to_owned(), |arch| format!("the {arch} layer"));
        let version = &manifest.version;
        if regions.is_empty() {
            return Failure::message(Code::Failed, format!("{what} of {version} is in no region"))
                .hint("publish it with `publisher publish --execute`");
        }
        let region = self.region.as_ref().map_or_else(|| "any region".to_owned(), ToString::to_string);
        Failure::message(Code::Failed, format!("{what} of {version} is not in {region}"))
            .hint(format!("it is in: {}", regions.into_iter().collect::<Vec<_>>().join(" ")))
    }
}

/// Reads `dist/layers.json`, for every step that needs one.
pub fn open_manifest(dist: &Path) -> Result<LayersManifest, Failure> {
    LayersManifest::open(dist).map_err(|error| {
        let next = match &error {
            LayersError::NotPublished(_) => {
                "it is written by `publisher publish --execute`; --dist names the folder to look in"
            }
            _ => "restore it from the history, or move it away and run `publisher publish --execute` again",
        };
        Failure::new(error).hint(next)
    })
}
