//! Finds regions that the last release had and this one lacks. Each is an error unless the user allows it by name.

use crate::{
    artifacts::layers_manifest::{LastRegions, LayersManifest},
    aws::{
        partition::{Partition, RegionName},
        regions::RegionPattern,
    },
    failure::{Code, Failure},
    model::variant::Variant,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};

/// The last release, on the command line.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct FewerRegionsOptions {
    /// The layers.json of the last release, whose regions are expected; may be given more than once [default:
    /// layers.json in the folder]
    #[arg(long, value_name = "FILE")]
    pub(crate) previous: Vec<PathBuf>,

    /// Let these regions go, although the last release had them; patterns too
    #[arg(long, value_name = "REGION,…", value_delimiter = ',')]
    pub(crate) allow_fewer_regions: Vec<RegionPattern>,
}

impl FewerRegionsOptions {
    /// The regions that the `--previous` files list, including those that the files record as missing.
    pub(crate) fn last_regions(&self) -> Result<LastRegions, Failure> {
        let mut last = LastRegions::default();
        for file in &self.previous {
            let manifest = LayersManifest::read(file).map_err(|error| {
                Failure::new(error).hint("name the layers.json of the last release with --previous")
            })?;
            last.add(&manifest);
        }
        Ok(last)
    }

    /// The regions of the last release that are not in `present` and not in `--allow-fewer-regions`.
    pub(crate) fn missing(
        &self,
        last: &LastRegions,
        present: &BTreeMap<Variant, BTreeSet<RegionName>>,
    ) -> LastRegions {
        let may_be_missing = |region: &RegionName| self.allow_fewer_regions.iter().any(|p| p.matches(region));
        last.missing_from(present, may_be_missing)
    }
}

/// The failure for the missing regions of `partition`, or `None` if there are none. `why` gives the reason for each.
pub(crate) fn failure(
    missing: &LastRegions,
    partition: Partition,
    why: impl Fn(&RegionName) -> Option<String>,
) -> Option<Failure> {
    let regions = missing.by_region();
    let here = regions.iter().filter(|(region, _)| region.partition() == partition);
    let (names, lines): (Vec<&str>, Vec<String>) = here
        .map(|(region, variants)| {
            let variants: Vec<String> = variants.iter().map(ToString::to_string).collect();
            let why = why(region).map(|why| format!(": {why}")).unwrap_or_default();
            (region.as_str(), format!("{region} ({}){why}", variants.join(", ")))
        })
        .unzip();
    if names.is_empty() {
        return None;
    }
    let text = format!("the last release had regions that this one lacks:\n  {}", lines.join("\n  "));
    let hint = format!(
        "publish to them again, or accept that their users stay with the old version:\n  \
         --allow-fewer-regions {}",
        names.join(",")
    );
    Some(Failure::message(Code::Incomplete, text).hint(hint))
}
