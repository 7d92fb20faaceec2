//! What is known about the environment: its inits and its latest invocations. The reports of them come from several
//! sources and in any order. It is pure: the caller passes the times, and everything is bounded.
//!
//! The sources are INVOKE, SHUTDOWN, platform records, passing envelopes and samples of memory. Each of them may be
//! missing, late or repeated. SHUTDOWN comes before or after the record of the fault that caused it. Emulators have no
//! telemetry at all. Managed Instances have no INVOKE, and their requests overlap.

mod check_ins;
mod envelopes;
mod faults;
mod metrics;
mod records;
mod spans;

use super::classify::ShutdownReason;
use super::fault::Fault;
use super::init::Inits;
use super::invocation::{Invocation, Learnt};
use super::metrics::Metrics;
use super::monitor::Monitor;
use super::passed::PassedEnvelopes;
use super::rate::RateLimit;
use super::spans::Spans;
use super::xray::XRay;
use crate::config::{FaultKinds, SpanMode};
use crate::protocol::EnvelopeNote;
use crate::telemetry::{InitStart, RequestId};
use std::collections::VecDeque;
use std::time::{Duration, SystemTime};

/// The number of invocations that are kept. Records may be late, but an environment runs one invocation at a time.
const MAX_INVOCATIONS: usize = 4;
/// The same number for Managed Instances, where up to 64 requests run at a time.
const MAX_MANAGED: usize = 64;
/// The number of faults that are remembered, so that none is reported again after its invocation was forgotten.
const MAX_REPORTED: usize = 64;
/// The longest time that an invocation may take in Lambda, whatever its deadline says.
const LONGEST: Duration = Duration::from_mins(15);

/// Everything that is known about the environment since its start.
#[derive(Debug)]
pub(super) struct Environment {
    /// Whether these are Lambda Managed Instances. There only the report tells the end of a request, and SHUTDOWN ends
    /// no request.
    managed: bool,
    kinds: FaultKinds,
    /// The function's memory, in bytes.
    memory_size: u64,
    /// The latest invocations, the oldest first.
    invocations: VecDeque<Invocation>,
    /// Whether an invocation was announced so far.
    has_announced: bool,
    /// The invocations whose faults were reported, the oldest first.
    reported: VecDeque<RequestId>,
    /// The number of faults that the rate limit has left out, and that were not logged yet.
    left_out: u32,
    inits: Inits,
    /// Whether the SDK has sent an unhandled error before the first invocation.
    has_unhandled_error_in_init: bool,
    /// What the latest envelope says about an invocation that no other source has reported yet.
    early_note: Option<(RequestId, EnvelopeNote)>,
    envelopes: PassedEnvelopes,
    shutdown: Option<ShutdownReason>,
    /// Whether nothing more is waited for.
    is_closed: bool,
    learnt: Learnt,
    rate: RateLimit,
    spans: Spans,
    metrics: Option<Metrics>,
    monitor: Option<Monitor>,
}

/// An earlier try of an invocation that Lambda tries again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum EarlierTry {
    Reported,
    /// Its report is still on its way.
    Unreported,
}

/// An invocation as Lambda announces it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Invoked {
    pub(crate) request: RequestId,
    pub(crate) deadline: Option<SystemTime>,
    pub(crate) arn: Option<String>,
    /// X-Ray's header.
    pub(crate) trace: Option<String>,
}

impl Environment {
    pub(super) fn new(kinds: FaultKinds, spans: SpanMode, managed: bool, memory_size: u64) -> Self {
        Self {
            managed,
            kinds,
            memory_size,
            invocations: VecDeque::new(),
            has_announced: false,
            reported: VecDeque::new(),
            left_out: 0,
            inits: Inits::default(),
            has_unhandled_error_in_init: false,
            early_note: None,
            envelopes: PassedEnvelopes::default(),
            shutdown: None,
            learnt: Learnt::default(),
            is_closed: false,
            rate: RateLimit::default(),
            spans: Spans::new(spans),
            metrics: None,
            monitor: None,
        }
    }

    /// Adds whether the environment was initialized ahead of time, by what its variables say.
    pub(super) fn provisioned(self, is_provisioned: bool) -> Self {
        Self { inits: Inits::new(is_provisioned), ..self }
    }

    /// Adds what the settings want beside faults and spans.
    pub(super) fn with(self, metrics: Option<Metrics>, monitor: Option<Monitor>) -> Self {
        Self { metrics, monitor, ..self }
    }

    /// Records that Lambda has announced an invocation, so the one before it is over. Returns the faults that are
    /// certain now.
    pub(super) fn invoked(&mut self, invoked: Invoked, now: SystemTime) -> Vec<Fault> {
        let faults = self.settled(Some(&invoked.request), now);
        let is_retry = self.forget_earlier_try(&invoked.request);
        let invocation = self.announced(&invoked.request);
        invocation.has_stale_report |= is_retry == Some(EarlierTry::Unreported);
        invocation.deadline = invoked.deadline;
        invocation.arn = invoked.arn;
        invocation.invoked.get_or_insert(now);
        invocation.started.get_or_insert(now);
        invocation.xray = invocation.xray.take().or(invoked.trace);
        faults
    }

    /// Lambda tries an invocation again that has failed, with the same id and often in the same environment. Forgets
    /// what is known of the earlier try, which is over.
    fn forget_earlier_try(&mut self, request: &RequestId) -> Option<EarlierTry> {
        let is_over = |one: &Invocation| one.runtime_done.is_some() || one.report.is_some();
        let latest = self.latest_at();
        // Without telemetry, the end of an earlier try is only known by the invocation that followed it.
        let is_earlier = |(at, one): (usize, &Invocation)| {
            let is_past = is_over(one) || latest.is_some_and(|latest| at < latest);
            one.request == *request && one.invoked.is_some() && is_past
        };
        let earlier = self.invocations.iter().enumerate().position(is_earlier)?;
        let earlier = self.invocations.remove(earlier)?;
        // Its fault is not that of the new try.
        self.reported.retain(|reported| reported != request);
        Some(if earlier.report.is_some() { EarlierTry::Reported } else { EarlierTry::Unreported })
    }

    /// The trace of an invocation: that of its SDK, or else that of X-Ray.
    pub(super) fn trace_of(&self, request: &RequestId) -> Option<String> {
        let invocation = self.known_of(request)?;
        let of_xray = || XRay::read(invocation.xray.as_deref()?).trace_id;
        invocation.sdk.trace_id.clone().or_else(of_xray)
    }

    /// Whether an error that nothing has handled is still to be reported, because neither the SDK nor the extension has
    /// done so. From now on it counts as reported.
    pub(super) fn claim_error(&mut self, request: Option<&RequestId>, now: SystemTime) -> bool {
        self.read_envelopes();
        let Some(request) = request else {
            if self.invocations.is_empty() {
                return !std::mem::replace(&mut self.has_unhandled_error_in_init, true);
            }
            // Nobody knows which invocation it was, so nothing else bounds how often the same error is reported.
            return self.rate.admits(now);
        };
        !std::mem::replace(&mut self.invocation(request).has_unhandled_error, true)
    }

    /// What is known of an invocation.
    pub(super) fn known_of(&self, request: &RequestId) -> Option<&Invocation> {
        self.invocations.iter().find(|one| one.request == *request)
    }

    /// How the latest init began.
    pub(super) fn init_start(&self) -> Option<&InitStart> {
        self.inits.start()
    }

    /// Whether an invocation is a cold start, or what happens before any.
    pub(super) fn is_cold_start(&self, invocation: Option<&Invocation>) -> bool {
        self.inits.is_cold_start(invocation)
    }

    /// What the function's own envelopes say of it.
    pub(super) fn learnt(&self) -> &Learnt {
        &self.learnt
    }

    /// Whether the report of the latest invocation is on its way, and something depends on it. `has_lines` says whether
    /// the function's lines are wanted, of which Lambda tells before it reports.
    pub(super) fn awaits_report(&self, has_lines: bool) -> bool {
        let Some(last) = self.latest().filter(|last| last.report.is_none()) else { return false };
        // After a fault there is no report.
        let will_come = self.shutdown.is_none_or(|reason| reason == ShutdownReason::Other);
        let has_trace = last.root.is_some() || self.envelopes.have_trace() || self.spans.rate().is_some();
        has_lines || (will_come && (self.metrics.is_some() || (self.spans.are_on() && has_trace)))
    }

    /// Records that the memory is looked at. Returns whether the latest invocation seems to be running, as it has to be
    /// for that.
    pub(super) fn watched(&mut self, now: SystemTime) -> bool {
        let is_running = self.is_running(now);
        if let Some(invocation) = self.latest_mut().filter(|_| is_running) {
            invocation.is_watched = true;
        }
        is_running
    }

    /// Whether the memory was looked at during the latest invocation.
    pub(super) fn was_watched(&self) -> bool {
        self.latest().is_some_and(|latest| latest.is_watched)
    }

    /// Records how many bytes of memory are in use while the latest invocation runs.
    pub(super) fn sampled(&mut self, bytes: u64) {
        if let Some(invocation) = self.latest_mut() {
            invocation.memory_peak = invocation.memory_peak.max(bytes);
        }
    }

    /// Records that the kernel has killed a process because the memory was full.
    pub(super) fn oom_killed(&mut self) {
        if let Some(invocation) = self.latest_mut() {
            invocation.oom_killed = true;
        }
    }

    /// Records that SHUTDOWN has come. Returns the faults that are certain now.
    pub(super) fn shutting_down(&mut self, reason: ShutdownReason, now: SystemTime) -> Vec<Fault> {
        self.shutdown = Some(reason);
        self.certain(now)
    }

    /// Whether records that are on their way may say more about the end of the environment.
    pub(super) fn is_open(&self) -> bool {
        let Some(reason) = self.shutdown else { return false };
        if self.managed {
            // The reports of the requests that ended with the environment are on their way, and nothing tells how many.
            return true;
        }
        match (self.latest(), reason) {
            // After a failed init, Lambda ends the environment with the same reason as one that it does not need any
            // more, and the record of the failure comes later.
            (None, ShutdownReason::Other) => !self.inits.are_known(),
            (None, _) => !self.inits.was_reported(),
            (Some(last), ShutdownReason::Timeout | ShutdownReason::Failure) => !last.is_settled,
            (Some(_), ShutdownReason::Other) => false,
        }
    }

    /// Ends the wait for evidence. Returns the faults of everything that is over.
    pub(super) fn closed(&mut self, now: SystemTime) -> Vec<Fault> {
        self.is_closed = true;
        self.settled(None, now)
    }

    /// Whether an invocation seems to be running.
    fn is_running(&self, now: SystemTime) -> bool {
        let is_before = |deadline: Option<SystemTime>, started: Option<SystemTime>| {
            let end = deadline.or_else(|| started?.checked_add(LONGEST));
            end.is_some_and(|end| now < end)
        };
        self.shutdown.is_none()
            && self.latest().is_some_and(|last| {
                last.runtime_done.is_none() && last.report.is_none() && is_before(last.deadline, last.started)
            })
    }

    /// Returns where the latest invocation is that Lambda has announced. Records of others are late: they do not mean
    /// that another invocation has begun.
    fn latest_at(&self) -> Option<usize> {
        let last = |is_wanted: fn(&Invocation) -> bool| self.invocations.iter().rposition(is_wanted);
        last(|one| one.invoked.is_some()).or_else(|| last(|one| one.is_announced))
    }

    fn latest(&self) -> Option<&Invocation> {
        self.invocations.get(self.latest_at()?)
    }

    fn latest_mut(&mut self) -> Option<&mut Invocation> {
        let at = self.latest_at()?;
        self.invocations.get_mut(at)
    }

    /// Returns the invocation with this request id, which Lambda has announced.
    fn announced(&mut self, request: &RequestId) -> &mut Invocation {
        let is_first = !std::mem::replace(&mut self.has_announced, true);
        let invocation = self.invocation(request);
        if !std::mem::replace(&mut invocation.is_announced, true) {
            invocation.is_first = is_first;
        }
        invocation
    }

    /// Returns the number of faults that the rate limit has left out since the last call.
    pub(super) fn take_left_out(&mut self) -> u32 {
        std::mem::take(&mut self.left_out)
    }

    /// Makes room for one more invocation. What was never announced goes first, and what is over goes before what runs.
    fn forget_one(&mut self) {
        let position =
            |is_dispensable: fn(&Invocation) -> bool| self.invocations.iter().position(is_dispensable);
        let at = position(|one| !one.is_announced && one.invoked.is_none())
            .or_else(|| position(|one| one.report.is_some()))
            .unwrap_or_default();
        self.invocations.remove(at);
    }

    /// Returns the invocation with this request id, and adds it if it is not known yet.
    fn invocation(&mut self, request: &RequestId) -> &mut Invocation {
        let known = self.invocations.iter().rposition(|one| one.request == *request);
        let at = known.unwrap_or_else(|| {
            let most = if self.managed { MAX_MANAGED } else { MAX_INVOCATIONS };
            if self.invocations.len() >= most {
                self.forget_one();
            }
            let mut fresh = Invocation { request: request.clone(), ..Invocation::default() };
            if let Some((_, note)) = self.early_note.take_if(|(early, _)| early == request) {
                fresh.note(note, true);
            }
            self.invocations.push_back(fresh);
            self.invocations.len() - 1
        });
        // The index is that of an existing entry, or of the entry that was added just now.
        #[expect(clippy::indexing_slicing)]
        &mut self.invocations[at]
    }
}

#[cfg(test)]
mod tests;
