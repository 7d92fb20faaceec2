//! Errors of calls to one region.

use crate::aws::error::{CallError, CallErrorKind};

/// A failed call to one region. The message says whether the credentials are the cause.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RegionError {
    /// The credentials are not the cause.
    #[error(transparent)]
    Call(CallError),
    /// The credentials were valid when the run began and have expired since.
    #[error("the credentials have expired, renew them ({0})")]
    Expired(CallError),
    /// The credentials belong to the account, but the region does not accept them.
    #[error("the region is not enabled in this account, or not yet ({0})")]
    NotEnabled(CallError),
    /// The account has enabled the region, but the region does not accept these temporary credentials.
    #[error(
        "the region is enabled, but does not accept these temporary credentials: those of the global STS endpoint work \
         only in regions that are enabled by default ({0})"
    )]
    GlobalToken(CallError),
    /// It is unknown whether the account has enabled the region. The credentials are temporary.
    #[error(
        "the region is not enabled in this account, or does not accept these temporary credentials: those of the \
         global STS endpoint work only in regions that are enabled by default ({0})"
    )]
    NotEnabledOrGlobalToken(CallError),
}

impl From<CallError> for RegionError {
    fn from(error: CallError) -> Self {
        if error.kind == CallErrorKind::Expired { Self::Expired(error) } else { Self::Call(error) }
    }
}
