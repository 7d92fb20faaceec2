//! A fault that is to be told, with all that its event is made of.

use super::classify::Verdict;
use super::invocation::{Invocation, Learnt};
use crate::telemetry::InitStart;
use std::time::SystemTime;

/// A fault of an invocation or of an init.
#[derive(Clone, Debug)]
pub(super) struct Fault {
    pub(super) verdict: Verdict,
    pub(super) time: SystemTime,
    pub(super) subject: Subject,
    /// How the latest init began.
    pub(super) start: Option<InitStart>,
    pub(super) learnt: Learnt,
}

/// What has failed.
#[derive(Clone, Debug)]
pub(super) enum Subject {
    Invocation(Box<Invocation>),
    /// An init or a restore, with no invocation to it.
    Init,
}

impl Fault {
    /// The invocation, if it is one that failed.
    pub(super) fn invocation(&self) -> Option<&Invocation> {
        match &self.subject {
            Subject::Invocation(invocation) => Some(invocation),
            Subject::Init => None,
        }
    }
}
