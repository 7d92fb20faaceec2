//! A fault that is reported to Sentry, with everything that its event needs.

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
    /// The start of the latest init.
    pub(super) start: Option<InitStart>,
    pub(super) learnt: Learnt,
    pub(super) is_cold_start: bool,
}

/// What has failed.
#[derive(Clone, Debug)]
pub(super) enum Subject {
    Invocation(Box<Invocation>),
    /// An init or a restore outside of any invocation.
    Init,
}

impl Fault {
    /// Returns the invocation that failed, if it was one.
    pub(super) fn invocation(&self) -> Option<&Invocation> {
        match &self.subject {
            Subject::Invocation(invocation) => Some(invocation),
            Subject::Init => None,
        }
    }
}
