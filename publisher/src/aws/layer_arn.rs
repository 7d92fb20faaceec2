//! Parses and writes the ARN of a layer version.

use crate::{
    aws::{
        audience::AccountId,
        partition::{Partition, RegionName},
    },
    model::layer_name::LayerName,
};
use std::{fmt, str::FromStr};

/// The ARN of a layer version, which a function attaches. Its text needs no escaping in any output format, because it
/// contains only letters, digits, colons, `-` and `_`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LayerArn {
    partition: Partition,
    pub(crate) region: RegionName,
    pub(crate) account: AccountId,
    pub(crate) name: LayerName,
    pub(crate) version: i64,
}

/// The text is not the ARN of a layer version.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is not the ARN of a layer version: arn:PARTITION:lambda:REGION:ACCOUNT:layer:NAME:VERSION")]
pub(crate) struct BadLayerArn(String);

impl LayerArn {
    pub(crate) fn new(region: RegionName, account: AccountId, name: LayerName, version: i64) -> Self {
        Self { partition: region.partition(), region, account, name, version }
    }

    /// The ARN of the layer without a version number.
    pub(crate) fn layer(region: &RegionName, account: &AccountId, name: &LayerName) -> String {
        format!("arn:{}:lambda:{region}:{}:layer:{name}", region.partition(), account.as_str())
    }

    pub(crate) fn partition(&self) -> Partition {
        self.partition
    }
}

impl fmt::Display for LayerArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { partition, region, account, name, version } = self;
        write!(f, "arn:{partition}:lambda:{region}:{}:layer:{name}:{version}", account.as_str())
    }
}

impl FromStr for LayerArn {
    type Err = BadLayerArn;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let read = || {
            let parts: Vec<&str> = text.split(':').collect();
            let ["arn", partition, "lambda", region, account, "layer", name, version] = parts[..] else {
                return None;
            };
            Some(Self {
                partition: Partition::from_name(partition)?,
                region: region.parse().ok()?,
                account: AccountId::try_from(account.to_owned()).ok()?,
                name: LayerName::try_from(name.to_owned()).ok()?,
                version: version.parse().ok().filter(|number| *number > 0)?,
            })
        };
        read().ok_or_else(|| BadLayerArn(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parsed_arn_is_written_unchanged() {
        for text in [
            "arn:aws:lambda:eu-central-1:123456789012:layer:SentryLambdaExtension-arm64:7",
            "arn:aws-us-gov:lambda:us-gov-west-1:123456789012:layer:X_y-1:12",
        ] {
            assert_eq!(text.parse::<LayerArn>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn other_texts_are_refused() {
        for bad in [
            "",
            "arn:aws:lambda:eu-central-1:123456789012:layer:X",
            "arn:aws:lambda:eu-central-1:123456789012:layer:X:0",
            "arn:aws:lambda:eu-central-1:123456789012:layer:X y:1",
            "arn:aws:lambda:eu-central-1:12345678901:layer:X:1",
            "arn:aws:lambda:eu-central-1:123456789012:function:X:1",
            "arn:other:lambda:eu-central-1:123456789012:layer:X:1",
            "arn:aws:lambda:eu-central-1:123456789012:layer:X:1\n",
        ] {
            assert!(bad.parse::<LayerArn>().is_err(), "{bad:?}");
        }
    }
}
