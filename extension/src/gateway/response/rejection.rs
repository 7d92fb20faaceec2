//! Why a request is not accepted. The statuses and texts are those of Sentry's Relay, which authors of SDKs know.

use super::Response;
use crate::gateway::auth::AuthError;
use crate::gateway::connection::body_error::BodyError;
use crate::protocol::envelope_writer::InvalidHeader;
use crate::protocol::{DecodeError, ScanError};
use hyper::StatusCode;
use std::borrow::Cow;
use std::convert::Infallible;

/// An error response. `causes` go from the nearest to the farthest.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::gateway) struct Rejection {
    pub(in crate::gateway) status: StatusCode,
    pub(in crate::gateway) detail: String,
    pub(in crate::gateway) causes: Vec<String>,
}

impl Rejection {
    pub(in crate::gateway) fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self { status, detail: detail.into(), causes: Vec::new() }
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

    pub(in crate::gateway) fn to_response(&self) -> Response {
        let detail = cut(&self.detail);
        let causes: Vec<String> = self.causes.iter().map(|cause| cut(cause).into_owned()).collect();
        crate::log::debug(
            "refused a request",
            &[("status", &self.status.as_u16()), ("why", &detail), ("because", &causes.join(": "))],
        );
        super::refused(self.status, &detail, &causes)
    }
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
        Self::new(status, error.to_string())
    }
}

impl From<BodyError> for Rejection {
    fn from(error: BodyError) -> Self {
        match error {
            BodyError::TooLarge => Self::too_large(),
            BodyError::Broken => Self::bad_request("the request body ended early"),
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
    fn texts_that_quote_the_client_are_cut() {
        assert_eq!(cut("short"), "short");
        let long = format!("invalid type: string \"{}\" at line 1", "ä".repeat(100_000));
        let short = cut(&long);
        assert!(short.starts_with("invalid type") && short.ends_with("at line 1"), "{short}");
        assert!(short.len() < 400, "{}", short.len());
    }
}
