//! Why a request is not accepted: a status, and Relay's words for it, which SDKs' authors know.

use super::answer::{self, Answer};
use super::auth::AuthError;
use super::body::BodyError;
use crate::wire::{DecodeError, ScanError};
use hyper::StatusCode;
use std::convert::Infallible;

/// A refusal; `causes` go from the nearest to the farthest.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) status: StatusCode,
    pub(super) detail: String,
    pub(super) causes: Vec<String>,
}

impl Refusal {
    pub(super) fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self { status, detail: detail.into(), causes: Vec::new() }
    }

    /// The client's mistake.
    pub(super) fn bad(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, detail)
    }

    /// Nothing says who sends.
    pub(super) fn unauthorized(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, detail)
    }

    pub(super) fn empty() -> Self {
        Self::bad("empty request body")
    }

    pub(super) fn too_large() -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "length limit exceeded")
    }

    /// Something is wrong with an envelope.
    pub(super) fn envelope(cause: impl Into<String>) -> Self {
        Self::bad("invalid event envelope").because(cause)
    }

    pub(super) fn json(why: &serde_json::Error) -> Self {
        Self::bad(format!("invalid JSON data: {why}")).because(why.to_string())
    }

    pub(super) fn because(mut self, cause: impl Into<String>) -> Self {
        self.causes.push(cause.into());
        self
    }

    pub(super) fn answer(&self) -> Answer {
        crate::log::debug(
            "refused a request",
            &[("status", &self.status.as_u16()), ("why", &self.detail), ("because", &self.causes.join(": "))],
        );
        answer::refused(self.status, &self.detail, &self.causes)
    }
}

impl From<AuthError> for Refusal {
    fn from(error: AuthError) -> Self {
        let status = match error {
            AuthError::Missing | AuthError::Multiple | AuthError::Malformed => StatusCode::UNAUTHORIZED,
            AuthError::Version(_) | AuthError::Key => StatusCode::BAD_REQUEST,
        };
        Self::new(status, error.to_string())
    }
}

impl From<BodyError> for Refusal {
    fn from(error: BodyError) -> Self {
        match error {
            BodyError::TooLarge => Self::too_large(),
            BodyError::Broken => Self::bad("the request body ended early"),
            BodyError::Slow => Self::new(StatusCode::REQUEST_TIMEOUT, "the request body came too slowly"),
            BodyError::NoRoom => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "too many request bodies at the same time")
            }
        }
    }
}

impl<E: Into<Self>> From<DecodeError<E>> for Refusal {
    fn from(error: DecodeError<E>) -> Self {
        match error {
            DecodeError::TooLarge => Self::too_large(),
            DecodeError::Corrupt(why) => {
                Self::bad("failed to decode the request body").because(why.to_string())
            }
            DecodeError::Refused(why) => why.into(),
        }
    }
}

impl From<Infallible> for Refusal {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}

impl From<ScanError> for Refusal {
    fn from(error: ScanError) -> Self {
        match error {
            ScanError::Empty => Self::empty(),
            ScanError::TooLarge(_) => Self::new(StatusCode::PAYLOAD_TOO_LARGE, error.to_string()),
            ScanError::Header(why) => Self::envelope("invalid envelope header").because(why),
            ScanError::ItemHeader(why) => Self::envelope("invalid item header").because(why),
            ScanError::Line | ScanError::MissingNewline | ScanError::Truncated | ScanError::TooManyItems => {
                Self::envelope(error.to_string())
            }
        }
    }
}
