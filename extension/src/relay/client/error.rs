//! Why a request got no response from upstream, in words for the log.

use super::active_timeout::TimeoutKind;
use super::connect::ConnectError;
use std::{error, fmt};

/// Why there is no response from upstream.
#[derive(Debug)]
pub(crate) enum SendError {
    Connect(ConnectError),
    Http(hyper::Error),
    /// The request cannot be built. This was never seen, but must not be a panic.
    Request(hyper::http::Error),
    /// The response to a forwarded request broke off or is too large.
    Body(Box<dyn error::Error + Send + Sync>),
    Timeout(TimeoutKind),
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connect(error) => error.fmt(f),
            Self::Http(error) => match error::Error::source(error) {
                Some(cause) => write!(f, "{error}: {cause}"),
                None => error.fmt(f),
            },
            Self::Request(error) => error.fmt(f),
            Self::Body(error) => error.fmt(f),
            Self::Timeout(TimeoutKind::TimedOut) => f.write_str("timed out"),
            Self::Timeout(TimeoutKind::Frozen) => f.write_str("the environment was frozen meanwhile"),
        }
    }
}
