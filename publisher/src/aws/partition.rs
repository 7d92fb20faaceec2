//! The AWS partitions and the regions that are compiled in, for when the account's own list is not available.

use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// The name of a region, e.g. `eu-central-1`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct RegionName(String);

/// The text is not a valid region name.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is not a region's name; names look like eu-central-1")]
pub(crate) struct BadRegionName(pub(crate) String);

impl RegionName {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// The partition of the region, which the prefix of its name tells.
    pub(crate) fn partition(&self) -> Partition {
        Partition::of_prefix(&self.0)
    }
}

impl FromStr for RegionName {
    type Err = BadRegionName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parts: Vec<&str> = text.split('-').collect();
        let plain = |part: &&str| {
            !part.is_empty() && part.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit())
        };
        let numbered = parts.last().is_some_and(|last| last.parse::<u32>().is_ok());
        if parts.len() >= 3 && parts.iter().all(plain) && numbered {
            Ok(Self(text.to_owned()))
        } else {
            Err(BadRegionName(text.to_owned()))
        }
    }
}

impl fmt::Display for RegionName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// A partition of AWS. Each has its own accounts and endpoints.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum Partition {
    /// The commercial regions.
    #[serde(rename = "aws")]
    Aws,
    /// The regions in China.
    #[serde(rename = "aws-cn")]
    China,
    /// The regions for the government of the United States.
    #[serde(rename = "aws-us-gov")]
    GovCloud,
    /// The regions of the European Sovereign Cloud.
    #[serde(rename = "aws-eusc")]
    EuSovereign,
}

impl Partition {
    /// The name of the partition in ARNs.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Aws => "aws",
            Self::China => "aws-cn",
            Self::GovCloud => "aws-us-gov",
            Self::EuSovereign => "aws-eusc",
        }
    }

    /// The partition with this name. Returns `None` for an unknown name.
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        [Self::Aws, Self::China, Self::GovCloud, Self::EuSovereign].into_iter().find(|p| p.name() == name)
    }

    /// The partition of a region, given its name or the beginning of its name.
    pub(crate) fn of_prefix(name: &str) -> Self {
        if name.starts_with("cn-") {
            Self::China
        } else if name.starts_with("us-gov-") {
            Self::GovCloud
        } else if name.starts_with("eusc-") {
            Self::EuSovereign
        } else {
            Self::Aws
        }
    }

    /// The region of `home` as a `RegionName`.
    pub(crate) fn home_region(self) -> RegionName {
        RegionName(self.home().to_owned())
    }

    /// The region that answers calls which do not concern a particular region.
    pub(crate) fn home(self) -> &'static str {
        match self {
            Self::Aws => "us-east-1",
            Self::China => "cn-north-1",
            Self::GovCloud => "us-gov-west-1",
            Self::EuSovereign => "eusc-de-east-1",
        }
    }

    /// The regions that every account of the partition has.
    pub(crate) fn default_regions(self) -> Vec<RegionName> {
        names(match self {
            Self::Aws => &[
                "ap-northeast-1",
                "ap-northeast-2",
                "ap-northeast-3",
                "ap-south-1",
                "ap-southeast-1",
                "ap-southeast-2",
                "ca-central-1",
                "eu-central-1",
                "eu-north-1",
                "eu-west-1",
                "eu-west-2",
                "eu-west-3",
                "sa-east-1",
                "us-east-1",
                "us-east-2",
                "us-west-1",
                "us-west-2",
            ],
            Self::China => &["cn-north-1", "cn-northwest-1"],
            Self::GovCloud => &["us-gov-east-1", "us-gov-west-1"],
            Self::EuSovereign => &["eusc-de-east-1"],
        })
    }

    /// All regions of the partition that this program knows.
    pub(crate) fn regions(self) -> impl Iterator<Item = RegionName> {
        self.default_regions().into_iter().chain(self.opt_in_regions())
    }

    /// The regions that an account has to enable before it can use them.
    pub(crate) fn opt_in_regions(self) -> Vec<RegionName> {
        names(match self {
            Self::Aws => &[
                "af-south-1",
                "ap-east-1",
                "ap-east-2",
                "ap-south-2",
                "ap-southeast-3",
                "ap-southeast-4",
                "ap-southeast-5",
                "ap-southeast-6",
                "ap-southeast-7",
                "ca-west-1",
                "eu-central-2",
                "eu-south-1",
                "eu-south-2",
                "il-central-1",
                "me-central-1",
                "me-south-1",
                "mx-central-1",
            ],
            Self::China | Self::GovCloud | Self::EuSovereign => &[],
        })
    }
}

impl fmt::Display for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

fn names(list: &[&str]) -> Vec<RegionName> {
    list.iter().map(|name| RegionName((*name).to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_compiled_in_region_is_well_formed_and_belongs_to_its_partition() {
        for partition in [Partition::Aws, Partition::China, Partition::GovCloud, Partition::EuSovereign] {
            for region in [partition.default_regions(), partition.opt_in_regions()].concat() {
                assert_eq!(region.as_str().parse::<RegionName>().unwrap(), region);
                assert_eq!(region.partition(), partition, "{region}");
            }
            assert_eq!(Partition::from_name(partition.name()), Some(partition));
            assert!(partition.default_regions().iter().any(|region| region.as_str() == partition.home()));
        }
        assert_eq!(Partition::Aws.default_regions().len() + Partition::Aws.opt_in_regions().len(), 34);
    }

    #[test]
    fn invalid_region_names_are_refused() {
        for bad in ["", "us-east", "us_east_1", "US-EAST-1", "us-east-1 ", "us--1", "eu-west-1a", "*"] {
            assert!(bad.parse::<RegionName>().is_err(), "{bad:?}");
        }
    }
}
