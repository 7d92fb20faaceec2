//! Which regions a release goes to.

use super::{
    error::{CallError, Kind},
    identity::Identity,
    partition::{Partition, RegionName},
    session::Session,
};
use aws_sdk_account::types::RegionOptStatus;
use std::collections::{BTreeMap, BTreeSet};

/// One region to publish to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Its name.
    pub region: RegionName,
    /// Whether the release is incomplete without it.
    pub required: bool,
    /// What the account says where it is not switched on, e.g. `DISABLED`.
    pub disabled: Option<String>,
}

/// The regions of a release.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Selection {
    /// Sorted by name.
    pub targets: Vec<Target>,
    /// Switched off in this account, and not asked for.
    pub left_out: Vec<RegionName>,
}

/// What the account says of its regions: name and, where a region is not usable, its status.
pub type Listing = BTreeMap<RegionName, Option<String>>;

/// Why the account's own list is not to be had.
#[derive(Debug, thiserror::Error)]
pub enum ListError {
    /// This partition or endpoint has no such API, or it is not allowed: the compiled-in list has to do.
    #[error("{0}")]
    Unavailable(String),
    /// Anything else.
    #[error(transparent)]
    Call(CallError),
}

/// Asks the account for all of its regions.
pub async fn list(session: &Session, identity: &Identity) -> Result<Listing, ListError> {
    if identity.partition != Partition::Aws {
        return Err(ListError::Unavailable(format!("{} has no account:ListRegions", identity.partition)));
    }
    let client = aws_sdk_account::Client::new(&session.config);
    let mut pages = client.list_regions().max_results(50).into_paginator().send();
    let mut listing = Listing::new();
    while let Some(page) = pages.next().await {
        let page = page.map_err(|error| {
            let error = CallError::new("account:ListRegions", &error);
            match error.kind {
                Kind::Denied | Kind::NotFound | Kind::Rejected => ListError::Unavailable(error.to_string()),
                _ => ListError::Call(error),
            }
        })?;
        for region in page.regions() {
            // A name of a form that we do not know is none that we could publish to.
            let Some(Ok(name)) = region.region_name().map(str::parse) else { continue };
            let disabled = match region.region_opt_status() {
                Some(RegionOptStatus::Enabled | RegionOptStatus::EnabledByDefault) => None,
                Some(status) => Some(status.as_str().to_owned()),
                None => Some("of unknown status".to_owned()),
            };
            listing.insert(name, disabled);
        }
    }
    Ok(listing)
}

/// Decides: `regions` replaces the account's list, which replaces the compiled-in one. Without the account's
/// list nobody knows which opt-in regions are on, so these are tried and not insisted on.
pub fn choose(
    listing: Option<&Listing>,
    partition: Partition,
    regions: &[RegionName],
    optional: &[RegionName],
) -> Selection {
    let optional: BTreeSet<&RegionName> = optional.iter().collect();
    let mut wanted: BTreeMap<RegionName, bool> = BTreeMap::new();
    match (regions, listing) {
        ([], Some(listing)) => {
            let enabled = listing.iter().filter(|(_, disabled)| disabled.is_none());
            wanted.extend(enabled.map(|(name, _)| (name.clone(), true)));
        }
        ([], None) => {
            wanted.extend(partition.opt_in_regions().into_iter().map(|name| (name, false)));
            wanted.extend(partition.default_regions().into_iter().map(|name| (name, true)));
        }
        (named, _) => wanted.extend(named.iter().map(|name| (name.clone(), true))),
    }
    wanted.extend(optional.into_iter().map(|name| (name.clone(), false)));
    let status = |name: &RegionName| listing.and_then(|listing| listing.get(name)).cloned().flatten();
    let left_out = listing
        .into_iter()
        .flatten()
        .filter(|(name, disabled)| disabled.is_some() && !wanted.contains_key(*name))
        .map(|(name, _)| name.clone())
        .collect();
    let targets = wanted
        .into_iter()
        .map(|(region, required)| Target { disabled: status(&region), region, required })
        .collect();
    Selection { targets, left_out }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(list: &[&str]) -> Vec<RegionName> {
        list.iter().map(|name| name.parse().unwrap()).collect()
    }

    fn listing() -> Listing {
        let mut listing: Listing =
            names(&["us-east-1", "eu-west-1"]).into_iter().map(|name| (name, None)).collect();
        listing.insert("me-south-1".parse().unwrap(), Some("DISABLED".to_owned()));
        listing
    }

    #[test]
    fn every_enabled_region_is_required_and_the_disabled_are_named() {
        let chosen = choose(Some(&listing()), Partition::Aws, &[], &names(&["eu-west-1"]));
        let shape: Vec<_> = chosen.targets.iter().map(|t| (t.region.as_str(), t.required)).collect();
        assert_eq!(shape, [("eu-west-1", false), ("us-east-1", true)]);
        assert_eq!(chosen.left_out, names(&["me-south-1"]));
    }

    #[test]
    fn a_disabled_region_that_is_asked_for_is_known_as_disabled() {
        let chosen = choose(Some(&listing()), Partition::Aws, &names(&["me-south-1"]), &[]);
        assert_eq!(chosen.targets.len(), 1);
        assert_eq!(chosen.targets[0].disabled.as_deref(), Some("DISABLED"));
        assert!(chosen.left_out.is_empty());
    }

    #[test]
    fn without_a_list_the_opt_in_regions_do_not_decide() {
        let chosen = choose(None, Partition::Aws, &[], &[]);
        assert_eq!(chosen.targets.iter().filter(|t| t.required).count(), 17);
        assert_eq!(chosen.targets.iter().filter(|t| !t.required).count(), 17);
        assert_eq!(choose(None, Partition::EuSovereign, &[], &[]).targets.len(), 1);
    }
}
