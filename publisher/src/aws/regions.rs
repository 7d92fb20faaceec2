//! Which regions a release goes to.

use crate::aws::{
    error::{CallError, CallErrorKind},
    identity::Identity,
    partition::{BadRegionName, Partition, RegionName},
    session::Session,
};
use aws_sdk_account::types::RegionOptStatus;
use std::{collections::BTreeMap, str::FromStr};
use wildmatch::WildMatch;

/// One region to publish to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    /// Its name.
    pub(crate) region: RegionName,
    /// Whether the release is incomplete without it.
    pub(crate) required: bool,
    /// What the account says where it is not switched on, e.g. `DISABLED`.
    pub(crate) disabled: Option<String>,
}

/// The regions of a release.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub(crate) struct Selection {
    /// Sorted by name.
    pub(crate) targets: Vec<Target>,
    /// Switched off in this account, and not asked for.
    pub(crate) left_out: Vec<RegionName>,
}

/// What the account says of its regions: name and, where a region is switched off, its status.
pub(crate) type Listing = BTreeMap<RegionName, Option<String>>;

/// The regions that the partition is known to have, and that the account's list does not name at all, not even as
/// switched off.
pub(crate) fn unlisted(listing: &Listing, partition: Partition) -> Vec<RegionName> {
    let known = partition.default_regions().into_iter().chain(partition.opt_in_regions());
    let mut unlisted: Vec<RegionName> = known.filter(|name| !listing.contains_key(name)).collect();
    unlisted.sort();
    unlisted
}

/// Why the account's own list is not to be had.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ListError {
    /// This partition or endpoint has no such API: the compiled-in list has to do.
    #[error("{0}")]
    Unavailable(String),
    /// The caller may not ask.
    #[error(transparent)]
    Denied(CallError),
    /// Anything else.
    #[error(transparent)]
    Call(CallError),
}

/// Asks the account for all of its regions.
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
            // A name of a form that we do not know is none that we could publish to.
            let Some(Ok(name)) = region.region_name().map(str::parse) else { continue };
            // Only what is off is left out. A region that is being switched on is wanted, and so is one of a status
            // that nobody has heard of: trying it says more than leaving it out.
            let off = match region.region_opt_status() {
                Some(status @ (RegionOptStatus::Disabled | RegionOptStatus::Disabling)) => {
                    Some(status.as_str().to_owned())
                }
                _ => None,
            };
            listing.insert(name, off);
        }
    }
    Ok(listing)
}

/// A region by name, or several by a pattern like `eu-*`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum RegionPattern {
    /// This one, whether the account lists it or not.
    Exact(RegionName),
    /// All that match, among those that can be used.
    Glob(String),
}

impl RegionPattern {
    /// A region whose partition is meant.
    pub(crate) fn near(&self) -> RegionName {
        match self {
            Self::Exact(name) => name.clone(),
            Self::Glob(glob) => Partition::of_prefix(glob).home_region(),
        }
    }

    /// Whether it names this region.
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

/// What was asked for.
#[derive(Clone, Debug, Default)]
pub(crate) struct RegionChoice {
    /// These; all where there are none.
    pub(crate) regions: Vec<RegionPattern>,
    /// These too, if it goes.
    pub(crate) optional: Vec<RegionPattern>,
    /// None of these.
    pub(crate) exclude: Vec<RegionPattern>,
}

/// What was asked for makes no sense.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RegionChoiceError {
    /// A typing error, most likely.
    #[error("`{pattern}` matches no region of {partition} that this account has enabled")]
    NoMatch {
        /// As given.
        pattern: String,
        /// Of the account.
        partition: Partition,
    },
    /// All of them are excluded.
    #[error("no region is left to publish to")]
    Nothing,
}

/// Where the regions are taken from.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Source<'a> {
    /// The account's own list, which replaces the compiled-in one.
    Account(&'a Listing),
    /// The compiled-in list, since the caller may not ask for the account's own. Nobody knows which opt-in regions are
    /// on, and they are required all the same: whoever wants fewer says so.
    NotAllowed,
    /// The compiled-in list, since there is no other. Opt-in regions are tried and not insisted on, unless by name.
    NoSuchApi,
}

impl<'a> Source<'a> {
    fn listing(self) -> Option<&'a Listing> {
        if let Self::Account(listing) = self { Some(listing) } else { None }
    }
}

/// Decides which regions a run goes to: those of the source, narrowed to what was asked for.
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
            return Ok(BTreeMap::from([(name.clone(), true)]));
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
        assert!(shape(&choice(&[], &[], &["us-esat-1"])).is_err());
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
