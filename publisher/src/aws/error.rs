//! Errors of AWS calls, classified by what can be done about them.

use crate::failure::chain;
use aws_sdk_lambda::config::http::HttpResponse;
use aws_sdk_lambda::error::{ProvideErrorMetadata, SdkError};
use hyper_util::client::legacy::Error as Legacy;

/// What can be done about a failed call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CallErrorKind {
    /// AWS does not accept the credentials, or the region does not know the account.
    Credentials,
    /// The credentials have expired.
    Expired,
    /// The credentials are valid but do not permit this call.
    Denied,
    /// The resource does not exist.
    NotFound,
    /// The resource exists already.
    Conflict,
    /// AWS throttled the request and did not carry it out.
    Throttled,
    /// No connection was established, so nothing was sent.
    Unsent,
    /// Only a part of the request was sent, so AWS cannot have carried it out.
    Stalled,
    /// There was no answer, an incomplete answer, or a server error. AWS may or may not have carried out the request.
    Ambiguous,
    /// AWS rejected the request itself as invalid.
    Rejected,
}

#[derive(Clone, Debug, thiserror::Error)]
#[error("{operation}: {message}")]
pub(crate) struct CallError {
    pub(crate) kind: CallErrorKind,
    /// The error code of AWS, e.g. `AccessDeniedException`.
    pub(crate) code: Option<String>,
    operation: &'static str,
    message: String,
}

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
}

impl From<CallError> for RegionError {
    fn from(error: CallError) -> Self {
        if error.kind == CallErrorKind::Expired { Self::Expired(error) } else { Self::Call(error) }
    }
}

impl CallError {
    /// Converts the error of a call to one region. STS has confirmed the credentials at the start of the run. So if a
    /// region does not accept them, the region is not enabled for the account.
    pub(crate) fn in_region(self) -> RegionError {
        if self.kind == CallErrorKind::Credentials { RegionError::NotEnabled(self) } else { self.into() }
    }

    /// Classifies an error of the SDK.
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

    /// The error message without the name of the operation.
    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    /// The error of an upload that was given up because no more data was transferred. If the request is incomplete,
    /// AWS cannot have carried it out.
    pub(crate) fn given_up(operation: &'static str, is_incomplete: bool) -> Self {
        let (kind, message) = if is_incomplete {
            (CallErrorKind::Stalled, "the upload stalled before all of it was sent")
        } else {
            (CallErrorKind::Ambiguous, "all of it was sent, and no answer came")
        };
        Self { kind, code: None, operation, message: message.to_owned() }
    }

    /// The error of an answer in which a field is missing that the API promises.
    pub(crate) fn incomplete(operation: &'static str, what: &str) -> Self {
        Self {
            kind: CallErrorKind::Ambiguous,
            code: None,
            operation,
            message: format!("the answer lacks {what}"),
        }
    }
}

/// Whether the connection failed before anything was sent. Name resolution, TCP and TLS all belong to connecting. No
/// other error proves that nothing was sent.
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
        // A successful answer whose body cannot be parsed is also reported as a service error.
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
