//! Tells the user what to do about errors that do not go away by running the same command again.

use crate::{
    aws::{refusal::Refusal, region_error::RegionError, s3::BucketError},
    publish::job::RolloutError,
};

impl RolloutError {
    /// What must change before the command can succeed. None if it may be enough to run the command again.
    pub(crate) fn remedy(&self) -> Option<String> {
        let text = match self {
            Self::Call(RegionError::Call(error)) => of_refusal(error.refusal()?),
            Self::Call(RegionError::GlobalToken(_)) => GLOBAL_TOKEN_REMEDY,
            Self::Bucket(BucketError::Refused { source, .. }) => of_refusal(source.refusal()?),
            Self::NotAsSent { given_to: Some(_), .. } => {
                "remove the version's permissions and find out where its bytes come from; then \
                 --publish-again publishes one more version"
            }
            Self::NotAsSent { given_to: None, .. } | Self::RecordedNotAsSent(_) => {
                "find out what changes requests or responses on their way (a proxy?), or ask AWS; then \
                 --publish-again publishes one more version"
            }
            Self::NoRoom { .. } => STORAGE_REMEDY,
            Self::NameTaken { .. } => "raise the version, or publish under another name with --layer-name",
            Self::Behind { .. } => "allow more versions with --balance=N",
            Self::PolicyTooLong { .. } => POLICY_REMEDY,
            Self::Bucket(BucketError::Missing { .. } | BucketError::WrongRegion { .. }) => {
                "create the bucket, or leave the region out with --exclude or --optional-regions"
            }
            Self::Call(_)
            | Self::ReadBack { .. }
            | Self::CannotReadBack(_)
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
    pub(crate) fn leaves_outcome_unknown(&self) -> bool {
        matches!(self, Self::Unanswered(_) | Self::CannotReadBack(_))
    }
}

const STORAGE_REMEDY: &str =
    "make room with `publisher prune`, or ask AWS for more code storage in the region (Service Quotas)";
const POLICY_REMEDY: &str = "name fewer accounts, or an organization instead (--share-with o-…)";

const GLOBAL_TOKEN_REMEDY: &str = "\
    get the credentials from a regional endpoint of STS (AWS_STS_REGIONAL_ENDPOINTS=regional where they are made), or \
    let those of the global endpoint work everywhere: \
    aws iam set-security-token-service-preferences --global-endpoint-token-version v2Token";

fn of_refusal(refusal: Refusal) -> &'static str {
    match refusal {
        Refusal::TooLarge => {
            "upload the zip through an S3 bucket: --s3-bucket 'layers-{region}'; or find the proxy \
             that refuses the request"
        }
        Refusal::CodeStorage => STORAGE_REMEDY,
        Refusal::PolicyLength => POLICY_REMEDY,
        Refusal::ExplicitDeny => {
            "change the organization's policy (SCP) or the boundary that denies the request, or leave the region out \
             with --exclude"
        }
        Refusal::Architectures | Refusal::Rejected => {
            "AWS rejects the request itself: correct what the message names, or leave the region out with --exclude"
        }
    }
}
