//! Reads the list of the account's regions and their status from AWS.

use crate::aws::{
    error::{CallError, CallErrorKind},
    identity::Identity,
    partition::{Partition, RegionName},
    session::Session,
};
use aws_sdk_account::types::RegionOptStatus;
use std::collections::BTreeMap;

/// The regions that the account lists. The value is the status of a disabled region and `None` for an enabled one.
pub(crate) type AccountRegions = BTreeMap<RegionName, Option<String>>;

/// Returns the regions that the partition is known to have but the account's list does not contain, not even as
/// disabled.
pub(crate) fn unlisted(listing: &AccountRegions, partition: Partition) -> Vec<RegionName> {
    let mut unlisted: Vec<RegionName> =
        partition.regions().filter(|name| !listing.contains_key(name)).collect();
    unlisted.sort();
    unlisted
}

/// Why the account's list of regions is not available.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ListError {
    /// The partition or endpoint has no such API. The compiled-in list is used instead.
    #[error("{0}")]
    Unavailable(String),
    /// The caller may not list the regions.
    #[error(transparent)]
    Denied(CallError),
    /// The call failed for another reason.
    #[error(transparent)]
    Call(CallError),
}

/// Lists all regions of the account with their status.
pub(crate) async fn list(session: &Session, identity: &Identity) -> Result<AccountRegions, ListError> {
    if identity.partition != Partition::Aws {
        return Err(ListError::Unavailable(format!("{} has no account:ListRegions", identity.partition)));
    }
    let client = aws_sdk_account::Client::new(&session.config);
    let mut pages = client.list_regions().max_results(50).into_paginator().send();
    let mut listing = AccountRegions::new();
    while let Some(page) = pages.next().await {
        let page = page.map_err(|error| {
            let error = CallError::new("account:ListRegions", &error);
            match error.kind {
                CallErrorKind::Denied => ListError::Denied(error),
                CallErrorKind::NotFound | CallErrorKind::Rejected => {
                    ListError::Unavailable(error.to_string())
                }
                _ => ListError::Call(error),
            }
        })?;
        for region in page.regions() {
            // The publisher cannot use a region whose name it cannot parse.
            let Some(Ok(name)) = region.region_name().map(str::parse) else { continue };
            // Only disabled regions get a status here. A region that is being enabled is wanted, and so is a region
            // with an unknown status: an attempt tells more than leaving it out.
            let off = match region.region_opt_status() {
                Some(status @ (RegionOptStatus::Disabled | RegionOptStatus::Disabling)) => {
                    Some(status.as_str().to_owned())
                }
                _ => None,
            };
            listing.insert(name, off);
        }
    }
    let enabled = listing.iter().filter(|(_, off)| off.is_none()).map(|(name, _)| name.clone());
    // `set` fails if the session has a list already, which is as good as this one.
    let _ = session.enabled.set(enabled.collect());
    Ok(listing)
}
