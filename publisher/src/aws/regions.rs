//! Chooses the regions of a release.

use crate::aws::{
    error::{CallError, CallErrorKind},
    identity::Identity,
    partition::{BadRegionName, Partition, RegionName},
    session::Session,
};
use aws_sdk_account::types::RegionOptStatus;
use std::{collections::BTreeMap, str::FromStr};
use wildmatch::WildMatch;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) region: RegionName,
    /// Whether the release is incomplete without this region.
    pub(crate) required: bool,
    /// The status that the account reports if the region is not enabled, e.g. `DISABLED`.
    pub(crate) disabled: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub(crate) struct Selection {
    /// The chosen regions, sorted by name.
    pub(crate) targets: Vec<Target>,
    /// The regions that are disabled in this account and were not asked for.
    pub(crate) left_out: Vec<RegionName>,
}

/// The regions that the account lists. The value is the status of a disabled region and `None` for an enabled one.
pub(crate) type Listing = BTreeMap<RegionName, Option<String>>;

/// Returns the regions that the partition is known to have but the account's list does not contain, not even as
/// disabled.
pub(crate) fn unlisted(listing: &Listing, partition: Partition) -> Vec<RegionName> {
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
pub(crate) async fn list(session: &Session, identity: &Identity) -> Result<Listing, ListError> {
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
    // An earlier list of the same session is as good.
    let _ = session.enabled.set(enabled.collect());
    Ok(listing)
}

/// The name of a region, or a pattern like `eu-*`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum RegionPattern {
    /// This region, even if the account does not list it.
    Exact(RegionName),
    /// All usable regions that match the pattern.
    Glob(String),
}

impl RegionPattern {
    /// A region in the partition that the pattern belongs to.
    pub(crate) fn near(&self) -> RegionName {
        match self {
            Self::Exact(name) => name.clone(),
            Self::Glob(glob) => Partition::of_prefix(glob).home_region(),
        }
    }

    /// Whether the pattern matches this region.
    pub(crate) fn matches(&self, name: &RegionName) -> bool {
        match self {
            Self::Exact(exact) => exact == name,
            Self::Glob(glob) => WildMatch::new(glob).matches(name.as_str()),
        }
    }
}

impl std::fmt::Display for RegionPattern {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Exact(name) => f.write_str(name.as_str()),
            Self::Glob(glob) => f.write_str(glob),
        }
    }
}

impl FromStr for RegionPattern {
    type Err = BadRegionName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-*?".contains(c);
        if !text.contains(['*', '?']) {
            return text.parse().map(Self::Exact);
        }
        if text.chars().all(allowed) {
            return Ok(Self::Glob(text.to_owned()));
        }
        Err(BadRegionName(text.to_owned()))
    }
}

/// The regions that the user asked for.
#[derive(Clone, Debug, Default)]
pub(crate) struct RegionChoice {
    /// The required regions. An empty list means all regions.
    pub(crate) regions: Vec<RegionPattern>,
    /// Further regions that may fail without failing the release.
    pub(crate) optional: Vec<RegionPattern>,
    /// The regions to leave out.
    pub(crate) exclude: Vec<RegionPattern>,
}

/// The user's choice of regions cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RegionChoiceError {
    /// A pattern matches no region. Most likely it is a typing error.
    #[error("`{pattern}` matches no region of {partition} that this account has enabled")]
    NoMatch {
        /// The pattern as the user gave it.
        pattern: String,
        /// The partition of the account.
        partition: Partition,
    },
    /// Neither the account's list nor the list in this program has this region.
    #[error("there is no region `{name}`{}", nearest.as_ref().map(|it| format!(": did you mean {it}?")).unwrap_or_default())]
    Unknown {
        /// The name as the user gave it.
        name: RegionName,
        /// A region with almost the same name.
        nearest: Option<RegionName>,
    },
    /// All chosen regions are excluded.
    #[error("no region is left to publish to")]
    Nothing,
}

/// Where the list of regions comes from.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Source<'a> {
    /// The account's own list, which replaces the compiled-in list.
    Account(&'a Listing),
    /// The compiled-in list, because the caller may not list the account's regions. It is not known which opt-in
    /// regions are enabled. All of them are required nevertheless; a user who wants fewer has to say so.
    NotAllowed,
    /// The compiled-in list, because there is no API for another one. Opt-in regions are tried, but they are required
    /// only if the user names them.
    NoSuchApi,
}

impl<'a> Source<'a> {
    fn listing(self) -> Option<&'a Listing> {
        if let Self::Account(listing) = self { Some(listing) } else { None }
    }
}

fn unknown(name: &RegionName, listing: &Listing) -> RegionChoiceError {
    RegionChoiceError::Unknown { name: name.clone(), nearest: nearest(name, listing.keys()).cloned() }
}

/// The region that the user most likely meant by an unknown name. At most two letters may differ.
pub(crate) fn nearest<'a>(
    name: &RegionName,
    known: impl IntoIterator<Item = &'a RegionName>,
) -> Option<&'a RegionName> {
    let distance = |other: &RegionName| strsim::osa_distance(name.as_str(), other.as_str());
    known
        .into_iter()
        .map(|other| (distance(other), other))
        .filter(|(far, _)| *far <= 2)
        .min()
        .map(|(_, it)| it)
}

/// Chooses the regions of a run: the regions of the source, narrowed to the user's choice.
pub(crate) fn choose(
    source: Source<'_>,
    partition: Partition,
    choice: &RegionChoice,
) -> Result<Selection, RegionChoiceError> {
    let listing = source.listing();
    let usable: BTreeMap<RegionName, bool> = if let Some(listing) = listing {
        let enabled = listing.iter().filter(|(_, disabled)| disabled.is_none());
        enabled.map(|(name, _)| (name.clone(), true)).collect()
    } else {
        let insisted = !matches!(source, Source::NoSuchApi);
        let opt_in = partition.opt_in_regions().into_iter().map(|name| (name, insisted));
        opt_in.chain(partition.default_regions().into_iter().map(|name| (name, true))).collect()
    };
    let matching = |pattern: &RegionPattern| -> Result<BTreeMap<RegionName, bool>, RegionChoiceError> {
        if let RegionPattern::Exact(name) = pattern {
            // A region that is switched off is listed as well. A name that neither the account's list nor this program
            // knows is misspelt, most likely.
            return match listing.filter(|listing| {
                !listing.contains_key(name) && !partition.regions().any(|known| known == *name)
            }) {
                Some(listing) => Err(unknown(name, listing)),
                None => Ok(BTreeMap::from([(name.clone(), true)])),
            };
        }
        let found: BTreeMap<_, _> =
            usable.iter().filter(|(name, _)| pattern.matches(name)).map(|(n, r)| (n.clone(), *r)).collect();
        let none = || RegionChoiceError::NoMatch { pattern: pattern.to_string(), partition };
        if found.is_empty() { Err(none()) } else { Ok(found) }
    };
    let mut wanted = if choice.regions.is_empty() { usable.clone() } else { BTreeMap::new() };
    for pattern in &choice.regions {
        wanted.extend(matching(pattern)?);
    }
    for pattern in &choice.optional {
        wanted.extend(matching(pattern)?.into_keys().map(|name| (name, false)));
    }
    for pattern in &choice.exclude {
        let known = |name: &RegionName| listing.is_some_and(|listing| listing.contains_key(name));
        let before = wanted.len();
        wanted.retain(|name, _| !pattern.matches(name));
        let harmless = matches!(pattern, RegionPattern::Exact(name) if known(name));
        if wanted.len() == before && !harmless {
            if let (RegionPattern::Exact(name), Some(listing)) = (pattern, listing) {
                return Err(unknown(name, listing));
            }
            return Err(RegionChoiceError::NoMatch { pattern: pattern.to_string(), partition });
        }
    }
    if wanted.is_empty() {
        return Err(RegionChoiceError::Nothing);
    }
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
    Ok(Selection { targets, left_out })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(list: &[&str]) -> Vec<RegionName> {
        list.iter().map(|name| name.parse().unwrap()).collect()
    }

    fn patterns(list: &[&str]) -> Vec<RegionPattern> {
        list.iter().map(|name| name.parse().unwrap()).collect()
    }

    fn choice(regions: &[&str], optional: &[&str], exclude: &[&str]) -> RegionChoice {
        RegionChoice { regions: patterns(regions), optional: patterns(optional), exclude: patterns(exclude) }
    }

    fn listing() -> Listing {
        let enabled = names(&["us-east-1", "us-west-2", "eu-west-1"]);
        let mut listing: Listing = enabled.into_iter().map(|name| (name, None)).collect();
        listing.insert("eu-south-1".parse().unwrap(), Some("DISABLED".to_owned()));
        listing
    }

    fn shape(choice: &RegionChoice) -> Result<Vec<(String, bool)>, RegionChoiceError> {
        let chosen = choose(Source::Account(&listing()), Partition::Aws, choice)?;
        Ok(chosen.targets.iter().map(|t| (t.region.to_string(), t.required)).collect())
    }

    fn expect(list: &[(&str, bool)]) -> Vec<(String, bool)> {
        list.iter().map(|(name, required)| ((*name).to_owned(), *required)).collect()
    }

    #[test]
    fn every_enabled_region_is_required_and_the_disabled_are_named() {
        let chosen =
            choose(Source::Account(&listing()), Partition::Aws, &choice(&[], &["eu-west-1"], &[])).unwrap();
        let shape: Vec<_> = chosen.targets.iter().map(|t| (t.region.as_str(), t.required)).collect();
        assert_eq!(shape, [("eu-west-1", false), ("us-east-1", true), ("us-west-2", true)]);
        assert_eq!(chosen.left_out, names(&["eu-south-1"]));
    }

    #[test]
    fn patterns_take_what_is_enabled_and_exclusions_win() {
        assert_eq!(
            shape(&choice(&["us-*"], &["eu-*"], &[])).unwrap(),
            expect(&[("eu-west-1", false), ("us-east-1", true), ("us-west-2", true)])
        );
        assert_eq!(shape(&choice(&["us-*"], &[], &["*-west-?"])).unwrap(), expect(&[("us-east-1", true)]));
        assert_eq!(
            shape(&choice(&[], &[], &["us-*", "eu-south-1"])).unwrap(),
            expect(&[("eu-west-1", true)])
        );
    }

    #[test]
    fn what_matches_nothing_is_a_mistake() {
        for wrong in [choice(&["af-*"], &[], &[]), choice(&[], &["af-*"], &[]), choice(&[], &[], &["af-*"])] {
            assert!(matches!(shape(&wrong), Err(RegionChoiceError::NoMatch { .. })), "{wrong:?}");
        }
        let meant = Some("us-east-1".parse().unwrap());
        let typo = RegionChoiceError::Unknown { name: "us-esat-1".parse().unwrap(), nearest: meant };
        for wrong in [
            choice(&[], &[], &["us-esat-1"]),
            choice(&["us-esat-1"], &[], &[]),
            choice(&["us-*"], &["us-esat-1"], &[]),
        ] {
            assert_eq!(shape(&wrong), Err(typo.clone()));
        }
        // The list may be older than a region that this program knows.
        assert_eq!(shape(&choice(&["eu-central-2"], &[], &[])).unwrap(), expect(&[("eu-central-2", true)]));
        let far = shape(&choice(&["ap-south-7"], &[], &[])).unwrap_err();
        assert_eq!(far.to_string(), "there is no region `ap-south-7`");
        assert_eq!(shape(&choice(&[], &[], &["*"])), Err(RegionChoiceError::Nothing));
        assert!("eu-west-1,*".parse::<RegionPattern>().is_err());
    }

    #[test]
    fn a_disabled_region_that_is_asked_for_is_known_as_disabled() {
        let chosen =
            choose(Source::Account(&listing()), Partition::Aws, &choice(&["eu-south-1"], &[], &[])).unwrap();
        assert_eq!(chosen.targets.len(), 1);
        assert_eq!(chosen.targets[0].disabled.as_deref(), Some("DISABLED"));
        assert!(chosen.left_out.is_empty());
    }

    #[test]
    fn without_a_list_the_opt_in_regions_do_not_decide_but_without_the_right_to_it_they_do() {
        let none = Source::NoSuchApi;
        let chosen = choose(none, Partition::Aws, &RegionChoice::default()).unwrap();
        assert_eq!(chosen.targets.iter().filter(|t| t.required).count(), 17);
        assert_eq!(chosen.targets.iter().filter(|t| !t.required).count(), 17);
        let chosen = choose(Source::NotAllowed, Partition::Aws, &RegionChoice::default()).unwrap();
        assert_eq!(chosen.targets.iter().filter(|t| t.required).count(), 34);
        let fewer = choose(Source::NotAllowed, Partition::Aws, &choice(&[], &["af-*"], &["me-*"])).unwrap();
        assert_eq!(fewer.targets.iter().filter(|t| t.required).count(), 31);
        assert_eq!(fewer.targets.iter().filter(|t| !t.required).count(), 1);
        assert_eq!(choose(none, Partition::EuSovereign, &RegionChoice::default()).unwrap().targets.len(), 1);
        let south = choose(none, Partition::Aws, &choice(&["eu-south-*"], &[], &[])).unwrap();
        assert!(south.targets.iter().all(|target| !target.required));
    }
}
