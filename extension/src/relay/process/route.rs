//! Which way envelopes go: to upstream itself, through Relay, or nowhere until that is decided.

use crate::config::Upstream;
use std::sync::Arc;

/// What holds for all envelopes now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::relay) enum Route {
    /// The built-in relay does the work.
    Direct,
    /// Relay is not ready yet.
    Held {
        /// It has failed before: nobody should wait for it.
        troubled: bool,
    },
    /// Relay is ready here, in the life of this number.
    Relay { upstream: Arc<Upstream>, life: u32 },
}

/// The way of one envelope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::relay) enum Way {
    Direct,
    Relay { upstream: Arc<Upstream>, life: u32 },
}

impl Route {
    pub(in crate::relay) fn way(&self) -> Option<Way> {
        match self {
            Self::Direct => Some(Way::Direct),
            Self::Held { .. } => None,
            Self::Relay { upstream, life } => {
                Some(Way::Relay { upstream: Arc::clone(upstream), life: *life })
            }
        }
    }
}

impl Way {
    /// Where the request itself goes, if the envelope is for `upstream`.
    pub(in crate::relay) fn to<'a>(&'a self, upstream: &'a Arc<Upstream>) -> &'a Arc<Upstream> {
        match self {
            Self::Direct => upstream,
            Self::Relay { upstream: relay, .. } => relay,
        }
    }
}
