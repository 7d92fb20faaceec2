//! Tells the user what to do about errors that do not go away by running the same command again.

use crate::{
    aws::{error::RegionError, refusal::Refusal, s3::BucketError},
    publish::job::RolloutError,
};

impl RolloutError {
    /// What must change before the command can succeed. None if it may be enough to run the command again.
    pub(crate) fn remedy(&self) -> Option<String> {
        let text = match self {
            Self::Call(RegionError::Call(error)) => of_refusal(error.refusal()?),
            Self::Call(RegionError::GlobalToken(_)) => GLOBAL_TOKEN,
            Self::Bucket(BucketError::Refused { source, .. }) => of_refusal(source.refusal()?),
            Self::NotAsSent { given_to: Some(_), .. } => {
                "take the version back from those who may use it, and find out where its bytes come from; then \
                 --publish-again publishes one more"
            }
            Self::NotAsSent { given_to: None, .. } | Self::Refuted(_) => {
                "find out what changes bytes or answers on their way (a proxy, a gateway), or ask AWS; then \
                 --publish-again publishes one more"
            }
            Self::NoRoom { .. } => ROOM,
            Self::NameTaken { .. } => "raise the version, or publish under another name with --layer-name",
            Self::Behind { .. } => "allow more versions with --balance=N",
            Self::PolicyTooLong { .. } => POLICY,
            Self::Bucket(BucketError::Missing { .. } | BucketError::Elsewhere { .. }) => {
                "make the bucket, or leave the region out with --exclude or --optional-regions"
            }
            Self::Call(_)
            | Self::ReadBack { .. }
            | Self::Vanished(_)
            | Self::NoArchitectures { .. }
            | Self::Journal(_)
            | Self::Upload(_)
            | Self::TooSlow { .. }
            | Self::Unanswered(_)
            | Self::Interrupted => return None,
        };
        Some(text.to_owned())
    }

    /// Whether a request that was sent may still take effect.
    pub(crate) fn is_in_doubt(&self) -> bool {
        matches!(self, Self::Unanswered(_) | Self::Vanished(_))
    }
}

const ROOM: &str =
    "make room with `publisher prune`, or ask AWS for more code storage in the region (Service Quotas)";
const POLICY: &str = "name fewer accounts, or an organization instead (--share-with o-…)";

const GLOBAL_TOKEN: &str = "have the credentials made by a regional endpoint of STS (AWS_STS_REGIONAL_ENDPOINTS=regional where they are made), \
     or have those of the global one work everywhere: \
     aws iam set-security-token-service-preferences --global-endpoint-token-version v2Token";

fn of_refusal(refusal: Refusal) -> &'static str {
    match refusal {
        Refusal::TooLarge => {
            "bring the zip to Lambda through a bucket: --s3-bucket 'layers-{region}'; or find the proxy on the way \
             that refuses it"
        }
        Refusal::CodeStorage => ROOM,
        Refusal::PolicyLength => POLICY,
        Refusal::ExplicitDeny => {
            "have the organization's policy (SCP) or the boundary that denies it changed, or leave the region out with \
             --exclude"
        }
        Refusal::Architectures | Refusal::Rejected => {
            "AWS refuses the request itself: mend what it names, or leave the region out with --exclude"
        }
    }
}
