//! What became of a call: sorted by what can be done about it.

use crate::failure::chain;
use aws_sdk_lambda::config::http::HttpResponse;
use aws_sdk_lambda::error::{ProvideErrorMetadata, SdkError};
use hyper_util::client::legacy::Error as Legacy;

/// What can be done about a failed call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
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
    /// No answer, half of one, or a server error: it may or may not have been carried out.
    Ambiguous,
    /// AWS refused the request itself.
    Rejected,
}

/// A call that failed.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{operation}: {message}")]
pub struct CallError {
    /// What can be done about it.
    pub kind: Kind,
    /// AWS's code, e.g. `AccessDeniedException`.
    pub code: Option<String>,
    operation: &'static str,
    message: String,
}

impl CallError {
    /// Sorts what the SDK reports.
    pub fn new<E>(operation: &'static str, error: &SdkError<E, HttpResponse>) -> Self
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        let code = error.code().map(str::to_owned);
        let kind = match error {
            SdkError::ServiceError(service) => {
                sort(code.as_deref().unwrap_or_default(), service.raw().status().as_u16())
            }
            SdkError::ConstructionFailure(_) => Kind::Rejected,
            SdkError::DispatchFailure(failure)
                if failure.as_connector_error().is_some_and(|e| never_connected(e)) =>
            {
                Kind::Unsent
            }
            _ => Kind::Ambiguous,
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

    /// An answer that lacks what the API promises.
    pub fn incomplete(operation: &'static str, what: &str) -> Self {
        Self { kind: Kind::Ambiguous, code: None, operation, message: format!("the answer lacks {what}") }
    }
}

/// Only a failure to connect proves that nothing was sent: name resolution, TCP and TLS all count.
fn never_connected(error: &(dyn std::error::Error + 'static)) -> bool {
    std::iter::successors(Some(error), |error| error.source())
        .any(|cause| cause.downcast_ref::<Legacy>().is_some_and(Legacy::is_connect))
}

fn sort(code: &str, status: u16) -> Kind {
    match code {
        "UnrecognizedClientException"
        | "InvalidClientTokenId"
        | "InvalidAccessKeyId"
        | "InvalidSignatureException"
        | "SignatureDoesNotMatch"
        | "IncompleteSignature"
        | "MissingAuthenticationTokenException" => return Kind::Credentials,
        "ExpiredToken" | "ExpiredTokenException" | "RequestExpired" => return Kind::Expired,
        "AccessDenied" | "AccessDeniedException" => return Kind::Denied,
        "ResourceNotFoundException" | "NoSuchBucket" | "NoSuchKey" | "NotFound" => return Kind::NotFound,
        "ResourceConflictException" => return Kind::Conflict,
        "TooManyRequestsException"
        | "ThrottlingException"
        | "Throttling"
        | "RequestLimitExceeded"
        | "SlowDown" => {
            return Kind::Throttled;
        }
        _ => {}
    }
    match status {
        401 | 403 => Kind::Denied,
        404 => Kind::NotFound,
        409 => Kind::Conflict,
        429 => Kind::Throttled,
        // A success whose body makes no sense arrives here too.
        200..=299 | 408 | 500..=599 => Kind::Ambiguous,
        _ => Kind::Rejected,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_connection_that_is_refused_sent_nothing() {
        let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let config = aws_sdk_lambda::Config::builder()
            .behavior_version(aws_sdk_lambda::config::BehaviorVersion::latest())
            .region(aws_sdk_lambda::config::Region::new("eu-west-1"))
            .credentials_provider(aws_credential_types::Credentials::new("a", "b", None, None, "test"))
            .http_client(crate::aws::http::client())
            .retry_config(aws_sdk_lambda::config::retry::RetryConfig::disabled())
            .endpoint_url(format!("http://{closed}"))
            .build();
        let answer = aws_sdk_lambda::Client::from_conf(config).get_account_settings().send().await;
        assert_eq!(CallError::new("x", &answer.unwrap_err()).kind, Kind::Unsent);
    }

    #[test]
    fn only_what_may_have_been_carried_out_is_ambiguous() {
        assert_eq!(sort("ServiceException", 500), Kind::Ambiguous);
        assert_eq!(sort("", 503), Kind::Ambiguous);
        assert_eq!(sort("", 201), Kind::Ambiguous);
        assert_eq!(sort("TooManyRequestsException", 429), Kind::Throttled);
        assert_eq!(sort("InvalidParameterValueException", 400), Kind::Rejected);
        assert_eq!(sort("UnrecognizedClientException", 403), Kind::Credentials);
        assert_eq!(sort("ExpiredTokenException", 403), Kind::Expired);
        assert_eq!(sort("", 403), Kind::Denied);
    }
}
