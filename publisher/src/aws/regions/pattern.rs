//! Parses and matches the names and patterns of regions on the command line.

use crate::aws::partition::{BadRegionName, Partition, RegionName};
use std::str::FromStr;
use wildmatch::WildMatch;

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
    pub(crate) fn region_in_partition(&self) -> RegionName {
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
