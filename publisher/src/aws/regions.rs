//! Chooses the regions of a release.

mod pattern;

pub(crate) use pattern::RegionPattern;

use crate::aws::{
    partition::{Partition, RegionName},
    region_list::AccountRegions,
};
use std::collections::BTreeMap;

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
    #[error("there is no region `{name}`{}", suggestion(nearest.as_ref()))]
    Unknown {
        /// The name as the user gave it.
        name: RegionName,
        /// A region with almost the same name.
        nearest: Option<RegionName>,
    },
    /// All chosen regions are excluded.
    #[error("no region is left: all chosen regions are excluded")]
    NoneLeft,
}

/// Where the list of regions comes from.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Source<'a> {
    /// The account's own list, which replaces the compiled-in list.
    Account(&'a AccountRegions),
    /// The compiled-in list, because the caller may not list the account's regions. It is not known which opt-in
    /// regions are enabled. All of them are required nevertheless; a user who wants fewer has to say so.
    NotAllowed,
    /// The compiled-in list, because there is no API for another one. Opt-in regions are tried, but they are required
    /// only if the user names them.
    NoSuchApi,
}

impl<'a> Source<'a> {
    fn listing(self) -> Option<&'a AccountRegions> {
        if let Self::Account(listing) = self { Some(listing) } else { None }
    }
}

fn suggestion(nearest: Option<&RegionName>) -> String {
    nearest.map(|name| format!(": did you mean {name}?")).unwrap_or_default()
}

fn unknown(name: &RegionName, listing: &AccountRegions) -> RegionChoiceError {
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
        let opt_in_required = !matches!(source, Source::NoSuchApi);
        let opt_in = partition.opt_in_regions().into_iter().map(|name| (name, opt_in_required));
        opt_in.chain(partition.default_regions().into_iter().map(|name| (name, true))).collect()
    };
    let matching = |pattern: &RegionPattern| -> Result<BTreeMap<RegionName, bool>, RegionChoiceError> {
        if let RegionPattern::Exact(name) = pattern {
            // The account's list contains disabled regions, too. So a name that neither this list nor the built-in one
            // contains is most likely a typing error.
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
        let is_known_region = matches!(pattern, RegionPattern::Exact(name) if known(name));
        if wanted.len() == before && !is_known_region {
            if let (RegionPattern::Exact(name), Some(listing)) = (pattern, listing) {
                return Err(unknown(name, listing));
            }
            return Err(RegionChoiceError::NoMatch { pattern: pattern.to_string(), partition });
        }
    }
    if wanted.is_empty() {
        return Err(RegionChoiceError::NoneLeft);
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

    fn listing() -> AccountRegions {
        let enabled = names(&["us-east-1", "us-west-2", "eu-west-1"]);
        let mut listing: AccountRegions = enabled.into_iter().map(|name| (name, None)).collect();
        listing.insert("eu-south-1".parse().unwrap(), Some("DISABLED".to_owned()));
        listing
    }

    fn targets_of(choice: &RegionChoice) -> Result<Vec<(String, bool)>, RegionChoiceError> {
        let chosen = choose(Source::Account(&listing()), Partition::Aws, choice)?;
        Ok(chosen.targets.iter().map(|t| (t.region.to_string(), t.required)).collect())
    }

    fn targets(list: &[(&str, bool)]) -> Vec<(String, bool)> {
        list.iter().map(|(name, required)| ((*name).to_owned(), *required)).collect()
    }

    #[test]
    fn every_enabled_region_is_required_and_disabled_ones_are_listed() {
        let chosen =
            choose(Source::Account(&listing()), Partition::Aws, &choice(&[], &["eu-west-1"], &[])).unwrap();
        let shape: Vec<_> = chosen.targets.iter().map(|t| (t.region.as_str(), t.required)).collect();
        assert_eq!(shape, [("eu-west-1", false), ("us-east-1", true), ("us-west-2", true)]);
        assert_eq!(chosen.left_out, names(&["eu-south-1"]));
    }

    #[test]
    fn patterns_select_enabled_regions_and_exclusions_have_precedence() {
        assert_eq!(
            targets_of(&choice(&["us-*"], &["eu-*"], &[])).unwrap(),
            targets(&[("eu-west-1", false), ("us-east-1", true), ("us-west-2", true)])
        );
        assert_eq!(
            targets_of(&choice(&["us-*"], &[], &["*-west-?"])).unwrap(),
            targets(&[("us-east-1", true)])
        );
        assert_eq!(
            targets_of(&choice(&[], &[], &["us-*", "eu-south-1"])).unwrap(),
            targets(&[("eu-west-1", true)])
        );
    }

    #[test]
    fn a_pattern_that_matches_nothing_is_an_error() {
        for wrong in [choice(&["af-*"], &[], &[]), choice(&[], &["af-*"], &[]), choice(&[], &[], &["af-*"])] {
            assert!(matches!(targets_of(&wrong), Err(RegionChoiceError::NoMatch { .. })), "{wrong:?}");
        }
        let meant = Some("us-east-1".parse().unwrap());
        let typo = RegionChoiceError::Unknown { name: "us-esat-1".parse().unwrap(), nearest: meant };
        for wrong in [
            choice(&[], &[], &["us-esat-1"]),
            choice(&["us-esat-1"], &[], &[]),
            choice(&["us-*"], &["us-esat-1"], &[]),
        ] {
            assert_eq!(targets_of(&wrong), Err(typo.clone()));
        }
        // The list may be older than a region that this program knows.
        assert_eq!(
            targets_of(&choice(&["eu-central-2"], &[], &[])).unwrap(),
            targets(&[("eu-central-2", true)])
        );
        let far = targets_of(&choice(&["ap-south-7"], &[], &[])).unwrap_err();
        assert_eq!(far.to_string(), "there is no region `ap-south-7`");
        assert_eq!(targets_of(&choice(&[], &[], &["*"])), Err(RegionChoiceError::NoneLeft));
        assert!("eu-west-1,*".parse::<RegionPattern>().is_err());
    }

    #[test]
    fn a_disabled_region_that_the_user_names_is_marked_as_disabled() {
        let chosen =
            choose(Source::Account(&listing()), Partition::Aws, &choice(&["eu-south-1"], &[], &[])).unwrap();
        assert_eq!(chosen.targets.len(), 1);
        assert_eq!(chosen.targets[0].disabled.as_deref(), Some("DISABLED"));
        assert!(chosen.left_out.is_empty());
    }

    #[test]
    fn opt_in_regions_are_optional_without_the_api_and_required_without_the_permission() {
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
