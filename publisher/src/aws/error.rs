//! What became of a call: sorted by what can be done about it.

use crate::failure::chain;
use aws_sdk_lambda::config::http::HttpResponse;
use aws_sdk_lambda::error::{ProvideErrorMetadata, SdkError};
use hyper_util::client::legacy::Error as Legacy;

/// What can be done about a failed call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CallErrorKind {
    /// AWS does not accept the credentials, or the region does not know the account.
    Credentials,
    /// The credentials were good once.
    Expired,
    /// The credentials are good, but not for this.
    Denied,
    /// There is no such thing.
    NotFound,
    /// It is there already.
    Conflict,
    /// Too many requests; this one was not carried out.
    Throttled,
    /// No connection came about, so nothing was sent.
    Unsent,
    /// Only a part of the request got across, so it was not carried out.
    Stalled,
    /// No answer, half of one, or a server error: it may or may not have been carried out.
    Ambiguous,
    /// AWS refused the request itself.
    Rejected,
}

/// A call that failed.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{operation}: {message}")]
pub(crate) struct CallError {
    /// What can be done about it.
    pub(crate) kind: CallErrorKind,
    /// AWS's code, e.g. `AccessDeniedException`.
    pub(crate) code: Option<String>,
    operation: &'static str,
    message: String,
}

/// A call of one region that failed, in words that say what the credentials have to do with it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RegionError {
    /// The credentials have nothing to do with it.
    #[error(transparent)]
    Call(CallError),
    /// They were good when the run began.
    #[error("the credentials have expired, renew them ({0})")]
    Expired(CallError),
    /// The account has the credentials, but the region does not know them.
    #[error("the region is not enabled in this account, or not yet ({0})")]
    NotEnabled(CallError),
}

impl From<CallError> for RegionError {
    fn from(error: CallError) -> Self {
        if error.kind == CallErrorKind::Expired { Self::Expired(error) } else { Self::Call(error) }
    }
}

impl CallError {
    /// Takes refused credentials as the region's refusal. Whose credentials these are was asked before, so the account
    /// has them.
    pub(crate) fn in_region(self) -> RegionError {
        if self.kind == CallErrorKind::Credentials { RegionError::NotEnabled(self) } else { self.into() }
    }

    /// Sorts what the SDK reports.
    pub(crate) fn new<E>(operation: &'static str, error: &SdkError<E, HttpResponse>) -> Self
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        let code = error.code().map(str::to_owned);
        let kind = match error {
            SdkError::ServiceError(service) => {
                sort(code.as_deref().unwrap_or_default(), service.raw().status().as_u16())
            }
            SdkError::ConstructionFailure(_) => CallErrorKind::Rejected,
            SdkError::DispatchFailure(failure)
                if failure.as_connector_error().is_some_and(|e| never_connected(e)) =>
            {
                CallErrorKind::Unsent
            }
            _ => CallErrorKind::Ambiguous,
        };
        let message = match error {
            SdkError::ServiceError(service) => {
                let status = service.raw().status().as_u16();
                let code = code.clone().unwrap_or_else(|| format!("HTTP {status}"));
                error.message().map_or_else(|| code.clone(), |message| format!("{code}: {message}"))
            }
            _ => chain(error),
        };
        Self { kind, code, operation, message }
    }

    /// What was said, without the operation.
    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    /// An upload that was given up, since nothing moved any more.
    pub(crate) fn given_up(operation: &'static str, is_incomplete: bool) -> Self {
        let (kind, message) = if is_incomplete {
            (CallErrorKind::Stalled, "the upload stalled before all of it was sent")
        } else {
            (CallErrorKind::Ambiguous, "all of it was sent, and no answer came")
        };
        Self { kind, code: None, operation, message: message.to_owned() }
    }

    /// An answer that lacks what the API promises.
    pub(crate) fn incomplete(operation: &'static str, what: &str) -> Self {
        Self {
            kind: CallErrorKind::Ambiguous,
            code: None,
            operation,
            message: format!("the answer lacks {what}"),
        }
    }
}

/// Only a failure to connect proves that nothing was sent: name resolution, TCP and TLS all count.
fn never_connected(error: &(dyn std::error::Error + 'static)) -> bool {
    std::iter::successors(Some(error), |error| error.source())
        .any(|cause| cause.downcast_ref::<Legacy>().is_some_and(Legacy::is_connect))
}

fn sort(code: &str, status: u16) -> CallErrorKind {
    match code {
        "UnrecognizedClientException"
        | "InvalidClientTokenId"
        | "InvalidAccessKeyId"
        | "InvalidSignatureException"
        | "SignatureDoesNotMatch"
        | "IncompleteSignature"
        | "MissingAuthenticationTokenException" => return CallErrorKind::Credentials,
        "ExpiredToken" | "ExpiredTokenException" | "RequestExpired" => return CallErrorKind::Expired,
        "AccessDenied" | "AccessDeniedException" => return CallErrorKind::Denied,
        "ResourceNotFoundException" | "NoSuchBucket" | "NoSuchKey" | "NotFound" => {
            return CallErrorKind::NotFound;
        }
        "ResourceConflictException" => return CallErrorKind::Conflict,
        "TooManyRequestsException"
        | "ThrottlingException"
        | "Throttling"
        | "RequestLimitExceeded"
        | "SlowDown" => {
            return CallErrorKind::Throttled;
        }
        _ => {}
    }
    match status {
        401 | 403 => CallErrorKind::Denied,
        404 => CallErrorKind::NotFound,
        409 => CallErrorKind::Conflict,
        429 => CallErrorKind::Throttled,
        // A success whose body makes no sense arrives here too.
        200..=299 | 408 | 500..=599 => CallErrorKind::Ambiguous,
        _ => CallErrorKind::Rejected,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aws::http;

    #[tokio::test]
    async fn a_connection_that_is_refused_sent_nothing() {
        let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let config = aws_sdk_lambda::Config::builder()
            .behavior_version(aws_sdk_lambda::config::BehaviorVersion::latest())
            .region(aws_sdk_lambda::config::Region::new("eu-west-1"))
            .credentials_provider(aws_credential_types::Credentials::new("a", "b", None, None, "test"))
            .http_client(http::client())
            .retry_config(aws_sdk_lambda::config::retry::RetryConfig::disabled())
            .endpoint_url(format!("http://{closed}"))
            .build();
        let answer = aws_sdk_lambda::Client::from_conf(config).get_account_settings().send().await;
        assert_eq!(CallError::new("x", &answer.unwrap_err()).kind, CallErrorKind::Unsent);
    }

    #[test]
    fn only_what_may_have_been_carried_out_is_ambiguous() {
        assert_eq!(sort("ServiceException", 500), CallErrorKind::Ambiguous);
        assert_eq!(sort("", 503), CallErrorKind::Ambiguous);
        assert_eq!(sort("", 201), CallErrorKind::Ambiguous);
        assert_eq!(sort("TooManyRequestsException", 429), CallErrorKind::Throttled);
        assert_eq!(sort("InvalidParameterValueException", 400), CallErrorKind::Rejected);
        assert_eq!(sort("UnrecognizedClientException", 403), CallErrorKind::Credentials);
        assert_eq!(sort("ExpiredTokenException", 403), CallErrorKind::Expired);
        assert_eq!(sort("", 403), CallErrorKind::Denied);
    }
}
