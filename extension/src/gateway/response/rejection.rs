//! Why a request is not accepted. The statuses and texts are those of Sentry's Relay, which authors of SDKs know.

use super::Response;
use crate::gateway::auth::AuthError;
use crate::gateway::connection::body_error::BodyError;
use crate::log::{self, Level};
use crate::protocol::envelope_writer::InvalidHeader;
use crate::protocol::{DecodeError, ScanError, masked};
use crate::relay::{RefusalReason, Relay};
use hyper::StatusCode;
use hyper::header::{ALLOW, HeaderValue};
use std::borrow::Cow;
use std::convert::Infallible;

/// An error response. `causes` go from the nearest to the farthest.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::gateway) struct Rejection {
    pub(in crate::gateway) status: StatusCode,
    pub(in crate::gateway) detail: String,
    pub(in crate::gateway) causes: Vec<String>,
    /// The reason under which it is counted.
    pub(in crate::gateway) reason: RefusalReason,
    /// The host for which it is refused, or empty.
    pub(in crate::gateway) host: String,
    /// The methods that the path supports, if the request has another.
    pub(in crate::gateway) allowed_methods: Option<&'static str>,
}

impl Rejection {
    pub(in crate::gateway) fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self {
            status,
            detail: detail.into(),
            causes: Vec::new(),
            reason: usual_reason(status),
            host: String::new(),
            allowed_methods: None,
        }
    }

    /// Status 403, or another, for a request that is refused because of the host that it names.
    pub(in crate::gateway) fn of_host(
        status: StatusCode,
        reason: RefusalReason,
        host: &str,
        detail: impl Into<String>,
    ) -> Self {
        Self { reason, host: shown(host), ..Self::new(status, detail) }
    }

    /// Status 508, for a request that this extension itself has sent. `host` is the one that it was sent to.
    pub(in crate::gateway) fn of_loop(host: &str) -> Self {
        let detail = "the request was sent by this extension and has come back to it: \
            put the real DSN into SENTRY_EXTENSION_DSN, and no name of this machine";
        Self::of_host(StatusCode::LOOP_DETECTED, RefusalReason::Loop, host, detail)
    }

    /// Status 405. `allowed` lists the methods that the path supports.
    pub(in crate::gateway) fn method_not_allowed(allowed: &'static str) -> Self {
        let rejection = Self::new(StatusCode::METHOD_NOT_ALLOWED, "method not allowed");
        Self { allowed_methods: Some(allowed), ..rejection }
    }

    /// Status 400.
    pub(in crate::gateway) fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, detail)
    }

    /// Status 401, for a request whose sender is unknown.
    pub(in crate::gateway) fn unauthorized(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, detail)
    }

    pub(in crate::gateway) fn empty() -> Self {
        Self::bad_request("empty request body")
    }

    pub(in crate::gateway) fn too_large() -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "length limit exceeded")
    }

    /// Status 400 for an invalid envelope.
    pub(in crate::gateway) fn envelope(cause: impl Into<String>) -> Self {
        Self::bad_request("invalid event envelope").because(cause)
    }

    pub(in crate::gateway) fn json(why: &serde_json::Error) -> Self {
        Self::bad_request(format!("invalid JSON data: {why}")).because(why.to_string())
    }

    pub(in crate::gateway) fn because(mut self, cause: impl Into<String>) -> Self {
        self.causes.push(cause.into());
        self
    }

    /// Counts under another reason than the usual one of its status.
    pub(in crate::gateway) fn for_reason(self, reason: RefusalReason) -> Self {
        Self { reason, ..self }
    }

    /// Counts and logs the rejection, and returns the response to the client.
    pub(in crate::gateway) fn answer(&self, relay: &Relay) -> Response {
        let (detail, causes) = self.record(relay);
        let mut response = super::refused(self.status, &detail, &causes);
        if let Some(allowed) = self.allowed_methods {
            response.headers_mut().insert(ALLOW, HeaderValue::from_static(allowed));
        }
        response
    }

    /// Counts and logs the rejection, and returns its detail and its causes as the client may see them. The first of a
    /// kind is a warning: the client may be an SDK whose data is lost, and who sees no response.
    pub(in crate::gateway) fn record(&self, relay: &Relay) -> (String, Vec<String>) {
        let (status, host) = (self.status.as_u16(), &self.host);
        let detail = shown(&self.detail);
        let causes: Vec<String> = self.causes.iter().map(|cause| shown(cause)).collect();
        let because = causes.join(": ");
        let between = if because.is_empty() { "" } else { ": " };
        let why = format_args!("{detail}{between}{because}");
        let is_new = relay.count_refusal(self.reason, status, host, why);
        let fields: [log::Field<'_>; 5] = [
            ("status", &status),
            ("reason", &self.reason.name()),
            ("why", &detail),
            ("because", &because),
            ("host", host),
        ];
        // Most rejections are about no host.
        let fields = if host.is_empty() { fields.split_at(4).0 } else { &fields[..] };
        log::write(if is_new { Level::Warn } else { Level::Debug }, "refused a request", fields);
        (detail, causes)
    }
}

/// Counts and logs a connection that ended because its bytes were no acceptable request. The client got the response,
/// if any, from the HTTP server.
pub(in crate::gateway) fn count_unreadable(relay: &Relay, why: &hyper::Error) {
    let why = shown(&why.to_string());
    let is_new = relay.count_refusal(RefusalReason::NotHttp, 0, "", format_args!("{why}"));
    let remedy =
        "if an SDK sent it, its DSN has to begin with http, not https, and its headers have to be shorter";
    log::write(
        if is_new { Level::Warn } else { Level::Debug },
        "refused what is not an HTTP/1.1 request",
        &[("reason", &RefusalReason::NotHttp.name()), ("why", &why), ("remedy", &remedy)],
    );
}

/// The reason under which a rejection with this status is counted if nothing else is said.
fn usual_reason(status: StatusCode) -> RefusalReason {
    match status.as_u16() {
        401 => RefusalReason::Authentication,
        404 => RefusalReason::Path,
        405 => RefusalReason::Method,
        408 => RefusalReason::Incomplete,
        413 => RefusalReason::TooLarge,
        415 => RefusalReason::Unsupported,
        503 => RefusalReason::NoMemory,
        502 | 504 => RefusalReason::NotForwarded,
        _ => RefusalReason::Invalid,
    }
}

/// Returns a text as it may be shown. It may quote what the client has sent, and so a key, or a megabyte.
fn shown(text: &str) -> String {
    // Half a key could not be recognized, so the keys are masked before the cut.
    cut(&masked(text)).into_owned()
}

/// Shortens a text that may quote what the client has sent. Its end says where the mistake is, so the middle is left
/// out.
fn cut(text: &str) -> Cow<'_, str> {
    const START: usize = 200;
    const END: usize = 100;
    if text.len() <= START + END + 10 {
        return Cow::Borrowed(text);
    }
    let start = text.floor_char_boundary(START);
    let end = text.ceil_char_boundary(text.len() - END);
    Cow::Owned(format!("{} … {}", text.get(..start).unwrap_or_default(), text.get(end..).unwrap_or_default()))
}

impl From<AuthError> for Rejection {
    fn from(error: AuthError) -> Self {
        let status = match error {
            AuthError::Missing | AuthError::Multiple | AuthError::Malformed => StatusCode::UNAUTHORIZED,
            AuthError::Version(_) | AuthError::Key => StatusCode::BAD_REQUEST,
        };
        Self::new(status, error.to_string()).for_reason(RefusalReason::Authentication)
    }
}

impl From<BodyError> for Rejection {
    fn from(error: BodyError) -> Self {
        match error {
            BodyError::TooLarge => Self::too_large(),
            BodyError::Broken => {
                Self::bad_request("the request body ended early").for_reason(RefusalReason::Incomplete)
            }
            BodyError::Fragmented => {
                Self::bad_request("the request body has too many chunks for so little data")
            }
            BodyError::Slow => Self::new(StatusCode::REQUEST_TIMEOUT, "the request body arrives too slowly"),
            BodyError::NoMemory => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "too many request bodies at the same time")
            }
        }
    }
}

impl<E: Into<Self>> From<DecodeError<E>> for Rejection {
    fn from(error: DecodeError<E>) -> Self {
        match error {
            DecodeError::TooLarge => Self::too_large(),
            DecodeError::Corrupt(why) => Self::bad_request("failed to decode the request body").because(why),
            DecodeError::Consumer(why) => why.into(),
        }
    }
}

impl From<Infallible> for Rejection {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}

impl From<InvalidHeader> for Rejection {
    fn from(InvalidHeader(why): InvalidHeader) -> Self {
        Self::json(&why)
    }
}

impl From<ScanError> for Rejection {
    fn from(error: ScanError) -> Self {
        match error {
            ScanError::Empty => Self::empty(),
            ScanError::TooLarge(_) => Self::new(StatusCode::PAYLOAD_TOO_LARGE, error.to_string()),
            ScanError::Header(why) => Self::envelope("invalid envelope header").because(why),
            ScanError::ItemHeader(why) => Self::envelope("invalid item header").because(why),
            ScanError::HeaderTooLong
            | ScanError::MissingNewline
            | ScanError::Truncated
            | ScanError::TooManyItems => Self::envelope(error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_that_quote_the_client_are_cut_and_name_no_key() {
        assert_eq!(shown("short"), "short");
        let long = format!("invalid type: string \"{}\" at line 1", "ä".repeat(100_000));
        let short = shown(&long);
        assert!(short.starts_with("invalid type") && short.ends_with("at line 1"), "{short}");
        assert!(short.len() < 400, "{}", short.len());
        for padding in 0..300 {
            let key = "5b0ff8a1e2c94d7fb7a3c1d2e4f60718";
            let text = format!("{} {key} {}", "-".repeat(padding), "-".repeat(300));
            assert!(!shown(&text).contains(&key[..5]), "{padding}");
        }
    }
}
