//! Errors of AWS calls, classified by what can be done about them.

use crate::{aws::web_page::WebPage, failure::chain};
use aws_sdk_lambda::config::http::HttpResponse;
use aws_sdk_lambda::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_types::date_time::{DateTime, Format};
use hyper_util::client::legacy::Error as HyperClientError;
use std::time::SystemTime;

/// What can be done about a failed call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CallErrorKind {
    /// AWS does not accept the credentials, or the region does not know the account.
    Credentials,
    /// The credentials have expired.
    Expired,
    /// The clock of this machine is wrong, so AWS does not accept the time of the signature.
    Clock,
    /// The credentials are valid but do not permit this call.
    Denied,
    /// The resource does not exist.
    NotFound,
    /// The resource exists already.
    Conflict,
    /// Another operation on the same resource is in progress, or has just changed it. The same request may work in a
    /// moment.
    Busy,
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
#[error("{operation}: {message}{}", in_brackets(request_id.as_deref()))]
pub(crate) struct CallError {
    pub(crate) kind: CallErrorKind,
    /// The error code of AWS, e.g. `AccessDeniedException`.
    pub(crate) code: Option<String>,
    /// The id that AWS gave this request. AWS's support asks for it.
    pub(crate) request_id: Option<String>,
    operation: &'static str,
    message: String,
}

fn in_brackets(request_id: Option<&str>) -> String {
    request_id.map(|id| format!(" (request {id})")).unwrap_or_default()
}

impl CallError {
    /// Classifies an error of the SDK.
    pub(crate) fn new<E>(operation: &'static str, error: &SdkError<E, HttpResponse>) -> Self
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        let raw = error.raw_response();
        let request_id = raw.and_then(request_id);
        if let Some(raw) = raw
            && let Some(page) = WebPage::of(raw)
        {
            let kind = sort_page(raw.status().as_u16());
            return Self { kind, code: None, request_id, operation, message: page.to_string() };
        }
        let code = error.code().map(str::to_owned);
        let kind = match error {
            SdkError::ServiceError(service) => {
                let status = service.raw().status().as_u16();
                match classify(code.as_deref().unwrap_or_default(), status) {
                    _ if is_of_another_time(code.as_deref(), error.message()) => CallErrorKind::Clock,
                    CallErrorKind::Conflict if is_busy(error.message().unwrap_or_default()) => {
                        CallErrorKind::Busy
                    }
                    kind => kind,
                }
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
                let clock = if kind == CallErrorKind::Clock { clock(service.raw()) } else { String::new() };
                error.message().map_or_else(|| code.clone(), |message| format!("{code}: {message}")) + &clock
            }
            _ => chain(error),
        };
        Self { kind, code, request_id, operation, message }
    }

    /// The error message without the name of the operation.
    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    /// The error of an upload that was given up because no more data was transferred. If the request is incomplete,
    /// AWS cannot have carried it out.
    pub(crate) fn aborted_upload(operation: &'static str, is_incomplete: bool) -> Self {
        let (kind, message) = if is_incomplete {
            (CallErrorKind::Stalled, "the upload stalled before the whole request was sent")
        } else {
            (CallErrorKind::Ambiguous, "the whole request was sent, but no response came")
        };
        Self { kind, code: None, request_id: None, operation, message: message.to_owned() }
    }

    /// The error of an answer in which a field is missing that the API promises.
    pub(crate) fn incomplete(operation: &'static str, what: &str) -> Self {
        Self {
            kind: CallErrorKind::Ambiguous,
            code: None,
            request_id: None,
            operation,
            message: format!("the response lacks {what}"),
        }
    }
}

/// Classifies an answer that is a web page. Such an answer is not AWS's: its 404 does not mean that there is no such
/// layer, and its 403 says nothing about the credentials.
fn sort_page(status: u16) -> CallErrorKind {
    match status {
        429 => CallErrorKind::Throttled,
        400..=499 if status != 408 => CallErrorKind::Rejected,
        _ => CallErrorKind::Ambiguous,
    }
}

fn request_id(raw: &HttpResponse) -> Option<String> {
    let id = ["x-amzn-requestid", "x-amzn-request-id", "x-amz-request-id"]
        .into_iter()
        .find_map(|name| raw.headers().get(name))?;
    // S3's support asks for both of its names.
    let extended = raw.headers().get("x-amz-id-2").map(|more| format!(", {more}")).unwrap_or_default();
    Some(format!("{id}{extended}"))
}

/// Whether AWS refused the signature because of its time, and not because of its keys.
fn is_of_another_time(code: Option<&str>, message: Option<&str>) -> bool {
    let codes = ["RequestTimeTooSkewed", "RequestExpired", "RequestInTheFuture"];
    let sentences = ["signature expired", "signature not yet current"];
    let message = message.unwrap_or_default().to_lowercase();
    code.is_some_and(|code| codes.contains(&code)) || sentences.iter().any(|part| message.contains(part))
}

/// Describes how much this machine's clock differs from AWS's, according to the `date` of the response.
fn clock(raw: &HttpResponse) -> String {
    let theirs = raw.headers().get("date").and_then(|date| DateTime::from_str(date, Format::HttpDate).ok());
    let Some(theirs) = theirs.and_then(|theirs| SystemTime::try_from(theirs).ok()) else {
        return String::new();
    };
    let (by, where_to) = match SystemTime::now().duration_since(theirs) {
        Ok(ahead) => (ahead, "ahead of"),
        Err(behind) => (behind.duration(), "behind"),
    };
    format!("; this machine's clock is {} minutes {where_to} AWS's", by.as_secs() / 60)
}

/// Lambda's `ResourceConflictException` has two meanings: what the request makes is there already, or something else
/// is being done to it at the moment.
fn is_busy(message: &str) -> bool {
    let message = message.to_lowercase();
    !message.contains("already exist")
        && ["in progress", "try again", "concurrent"].iter().any(|part| message.contains(part))
}

/// Whether the connection failed before anything was sent. Name resolution, TCP and TLS all belong to connecting. No
/// other error proves that nothing was sent.
fn never_connected(error: &(dyn std::error::Error + 'static)) -> bool {
    std::iter::successors(Some(error), |error| error.source())
        .any(|cause| cause.downcast_ref::<HyperClientError>().is_some_and(HyperClientError::is_connect))
}

fn classify(code: &str, status: u16) -> CallErrorKind {
    match code {
        "UnrecognizedClientException"
        | "InvalidClientTokenId"
        | "InvalidAccessKeyId"
        | "InvalidSignatureException"
        | "SignatureDoesNotMatch"
        | "IncompleteSignature"
        | "MissingAuthenticationTokenException" => return CallErrorKind::Credentials,
        "ExpiredToken" | "ExpiredTokenException" => return CallErrorKind::Expired,
        "AccessDenied" | "AccessDeniedException" => return CallErrorKind::Denied,
        "ResourceNotFoundException" | "NoSuchBucket" | "NoSuchKey" | "NotFound" => {
            return CallErrorKind::NotFound;
        }
        "ResourceConflictException" => return CallErrorKind::Conflict,
        "PreconditionFailedException" => return CallErrorKind::Busy,
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
        412 => CallErrorKind::Busy,
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
    async fn a_refused_connection_counts_as_unsent() {
        let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let config = aws_sdk_lambda::Config::builder()
            .behavior_version(aws_sdk_lambda::config::BehaviorVersion::latest())
            .region(aws_sdk_lambda::config::Region::new("eu-west-1"))
            .credentials_provider(aws_credential_types::Credentials::new("a", "b", None, None, "test"))
            .http_client(http::client(None))
            .retry_config(aws_sdk_lambda::config::retry::RetryConfig::disabled())
            .endpoint_url(format!("http://{closed}"))
            .build();
        let answer = aws_sdk_lambda::Client::from_conf(config).get_account_settings().send().await;
        assert_eq!(CallError::new("x", &answer.unwrap_err()).kind, CallErrorKind::Unsent);
    }

    #[test]
    fn an_error_is_ambiguous_only_if_the_request_may_have_been_carried_out() {
        assert_eq!(classify("ServiceException", 500), CallErrorKind::Ambiguous);
        assert_eq!(classify("", 503), CallErrorKind::Ambiguous);
        assert_eq!(classify("", 201), CallErrorKind::Ambiguous);
        assert_eq!(classify("TooManyRequestsException", 429), CallErrorKind::Throttled);
        assert_eq!(classify("InvalidParameterValueException", 400), CallErrorKind::Rejected);
        assert_eq!(classify("UnrecognizedClientException", 403), CallErrorKind::Credentials);
        assert_eq!(classify("ExpiredTokenException", 403), CallErrorKind::Expired);
        assert_eq!(classify("", 403), CallErrorKind::Denied);
        assert_eq!(classify("PreconditionFailedException", 412), CallErrorKind::Busy);
    }

    #[test]
    fn nothing_that_a_page_says_is_taken_for_aws_s_word() {
        assert_eq!([404, 403, 409].map(sort_page), [CallErrorKind::Rejected; 3]);
        assert_eq!([200, 408, 502].map(sort_page), [CallErrorKind::Ambiguous; 3]);
        assert_eq!(sort_page(429), CallErrorKind::Throttled);
    }

    #[test]
    fn of_the_two_meanings_of_a_conflict_only_one_passes() {
        assert!(!is_busy(
            "The statement id (public) provided already exists. Please try again with another one."
        ));
        assert!(!is_busy("The function is currently in the following state: Deleting"));
        assert!(is_busy(
            "The operation cannot be performed at this time. An update is in progress for resource: x"
        ));
        assert!(is_busy("Another operation is in progress for this resource"));
    }
}
