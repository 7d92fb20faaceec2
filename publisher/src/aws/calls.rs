//! Sends one call to AWS. A call is repeated once if the credentials had expired, and every failure gets a kind that
//! says what can be done about it.

use crate::aws::{
    error::{CallError, CallErrorKind},
    partition::RegionName,
    region_error::RegionError,
    session::Session,
};
use aws_sdk_lambda::{
    config::http::HttpResponse,
    error::{ProvideErrorMetadata, SdkError},
};
use std::{error::Error, future::Future, time::Duration};
use tokio::time::Instant;

/// The longest pauses before a call is repeated because another operation was in progress.
const BUSY_PAUSES: [Duration; 4] =
    [Duration::from_millis(500), Duration::from_secs(1), Duration::from_secs(2), Duration::from_secs(4)];

impl Session {
    /// Sends the request that `request` creates. If the credentials had expired, it is sent once more with new ones.
    pub(crate) async fn send<T, E, R>(
        &self,
        operation: &'static str,
        request: impl Fn() -> R,
    ) -> Result<T, CallError>
    where
        E: ProvideErrorMetadata + Error + 'static,
        R: Future<Output = Result<T, SdkError<E, HttpResponse>>>,
    {
        let call = || async { request().await.map_err(|error| CallError::new(operation, &error)) };
        self.call(call).await
    }

    /// Makes a call that consists of several requests. If the credentials had expired, the whole call is repeated
    /// once. This is safe because AWS carries out no request that has expired credentials.
    pub(crate) async fn call<T, R>(&self, call: impl Fn() -> R) -> Result<T, CallError>
    where
        R: Future<Output = Result<T, CallError>>,
    {
        let started = Instant::now();
        match call().await {
            Err(error) if error.kind == CallErrorKind::Expired => {
                self.credentials.report_expired(started).await;
                call().await
            }
            answer => answer,
        }
    }
}

impl Session {
    /// Converts the error of a call to one region. STS has confirmed the credentials at the start of the run. So if a
    /// region does not accept them, the region is not enabled for the account, or it does not accept temporary
    /// credentials of the global STS endpoint.
    pub(crate) fn in_region(&self, region: &RegionName, error: CallError) -> RegionError {
        if error.kind != CallErrorKind::Credentials {
            return error.into();
        }
        if !self.is_temporary || region.partition().default_regions().contains(region) {
            return RegionError::NotEnabled(error);
        }
        match self.enabled.get() {
            Some(enabled) if enabled.contains(region) => RegionError::GlobalToken(error),
            _ => RegionError::NotEnabledOrGlobalToken(error),
        }
    }

    /// Makes a call, and repeats it after a pause if AWS says that another operation on the same resource is in
    /// progress.
    pub(crate) async fn while_busy<T, R>(&self, call: impl Fn() -> R) -> Result<T, CallError>
    where
        R: Future<Output = Result<T, CallError>>,
    {
        for pause in BUSY_PAUSES {
            match call().await {
                Err(error) if error.kind == CallErrorKind::Busy => {
                    tokio::time::sleep(pause.mul_f64(0.5 + fastrand::f64() / 2.0)).await;
                }
                answer => return answer,
            }
        }
        call().await
    }
}

/// Returns `None` instead of an error if the call failed with an error of this `kind`.
pub(crate) fn none_if_error<T>(
    kind: CallErrorKind,
    answer: Result<T, CallError>,
) -> Result<Option<T>, CallError> {
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(error) if error.kind == kind => Ok(None),
        Err(error) => Err(error),
    }
}
