//! Which way envelopes go: to upstream itself, through Relay, or nowhere until that is decided.

use crate::config::Upstream;
use std::sync::Arc;

/// What holds for all envelopes now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum DeliveryRoute {
    /// The built-in relay does the work.
    Direct,
    /// Relay is not ready yet.
    Held {
        /// It has failed before: nobody should wait for it.
        troubled: bool,
    },
    /// Relay is ready here, in the life of this number.
    SentryRelay { upstream: Arc<Upstream>, life: u32 },
}

/// The way of one envelope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Destination {
    Direct,
    SentryRelay { upstream: Arc<Upstream>, life: u32 },
}

impl DeliveryRoute {
    pub(crate) fn destination(&self) -> Option<Destination> {
        match self {
            Self::Direct => Some(Destination::Direct),
            Self::Held { .. } => None,
            Self::SentryRelay { upstream, life } => {
                Some(Destination::SentryRelay { upstream: Arc::clone(upstream), life: *life })
            }
        }
    }
}

impl Destination {
    /// Where the request itself goes, if the envelope is for `upstream`.
    pub(crate) fn to<'a>(&'a self, upstream: &'a Arc<Upstream>) -> &'a Arc<Upstream> {
        match self {
            Self::Direct => upstream,
            Self::SentryRelay { upstream: relay, .. } => relay,
        }
    }
}
