//! How a call is made: once more if the credentials had expired, and with every failure sorted.

use crate::aws::{
    error::{CallError, CallErrorKind},
    session::Session,
};
use aws_sdk_lambda::{
    config::http::HttpResponse,
    error::{ProvideErrorMetadata, SdkError},
};
use std::{error::Error, future::Future, time::Duration};
use tokio::time::Instant;

/// The pauses before a call is made again that AWS was too busy for, at the most.
const BUSY: [Duration; 4] =
    [Duration::from_millis(500), Duration::from_secs(1), Duration::from_secs(2), Duration::from_secs(4)];

impl Session {
    /// Sends the request that `request` makes, and once more if the credentials had expired.
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

    /// Makes a call of several requests, and once more if the credentials had expired: nothing was carried out then.
    pub(crate) async fn call<T, R>(&self, call: impl Fn() -> R) -> Result<T, CallError>
    where
        R: Future<Output = Result<T, CallError>>,
    {
        let begun = Instant::now();
        match call().await {
            Err(error) if error.kind == CallErrorKind::Expired => {
                self.credentials.expired(begun).await;
                call().await
            }
            answer => answer,
        }
    }
}

impl Session {
    /// Makes a call of which AWS may say that something else is being done to the same thing: then again, after pauses.
    pub(crate) async fn while_busy<T, R>(&self, call: impl Fn() -> R) -> Result<T, CallError>
    where
        R: Future<Output = Result<T, CallError>>,
    {
        for pause in BUSY {
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

/// The answer; none if the call failed in this way.
pub(crate) fn unless<T>(kind: CallErrorKind, answer: Result<T, CallError>) -> Result<Option<T>, CallError> {
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(error) if error.kind == kind => Ok(None),
        Err(error) => Err(error),
    }
}
