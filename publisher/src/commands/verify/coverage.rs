//! The part of `publisher verify` about regions that have no layer yet: those that AWS has opened, or that the account
//! has enabled, since the release.

use crate::{
    artifacts::layers_manifest::{LastRegions, LayersManifest},
    aws::{identity::Identity, partition::RegionName, region_list, session::Session},
    commands::verify::Verify,
    failure::{Code, Failure},
};
use std::collections::BTreeSet;

impl Verify {
    /// The enabled regions of the account in which the release has no layer, without those that are allowed or already
    /// known to be missing. Without `--all-regions`, nobody asks for them.
    pub(super) async fn uncovered(
        &self,
        session: &Session,
        identity: &Identity,
        manifest: &LayersManifest,
        missing: &LastRegions,
    ) -> Result<BTreeSet<RegionName>, Failure> {
        if !self.all_regions {
            return Ok(BTreeSet::new());
        }
        let listing = region_list::list(session, identity).await.map_err(|error| {
            let text = format!("the account's list of regions cannot be read: {error}");
            Failure::message(Code::Failed, text)
                .hint("allow account:ListRegions (`publisher iam-policy watch`), or leave out --all-regions")
        })?;
        let covered: BTreeSet<&RegionName> =
            manifest.all().flat_map(|(_, layer)| layer.regions.keys()).collect();
        let missing = missing.by_region();
        let is_allowed =
            |region: &RegionName| self.fewer.allow_fewer_regions.iter().any(|p| p.matches(region));
        let enabled =
            listing.into_iter().filter(|(_, disabled)| disabled.is_none()).map(|(region, _)| region);
        let is_uncovered = |region: &RegionName| {
            !covered.contains(region) && !missing.contains_key(region) && !is_allowed(region)
        };
        Ok(enabled.filter(is_uncovered).collect())
    }
}

/// The failure for enabled regions without a layer, or `None` if there are none.
pub(super) fn failure(uncovered: &BTreeSet<RegionName>) -> Option<Failure> {
    if uncovered.is_empty() {
        return None;
    }
    let names: Vec<&str> = uncovered.iter().map(RegionName::as_str).collect();
    let text = format!("the account has regions enabled that have no layer: {}", names.join(" "));
    let names = names.join(",");
    Some(Failure::message(Code::Incomplete, text).hint(format!(
        "publish the release's zips there: publisher publish --regions {names}\n\
         or accept that these regions have none: --allow-fewer-regions {names}"
    )))
}
