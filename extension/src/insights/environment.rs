//! What is known of the environment: its inits and its latest invocations, from whatever told of them and in whatever
//! order. Pure: times are handed in, and everything is bounded.
//!
//! INVOKE, SHUTDOWN, platform records, passing envelopes and samples of memory all end up here. Each of them may be
//! missing, late or repeated: SHUTDOWN comes before the record of the fault that caused it or after, emulators have no
//! telemetry at all, and Managed Instances have no INVOKE and overlapping requests.

mod faults;

use super::classify::ShutdownReason;
use super::fault::Fault;
use super::init::Inits;
use super::invocation::{Invocation, Learnt};
use super::passed::PassedEnvelopes;
use super::rate::RateLimit;
use crate::config::FaultKinds;
use crate::protocol::EnvelopeNote;
use crate::relay::Envelope;
use crate::telemetry::{PlatformEvent, Record, RequestId};
use std::collections::VecDeque;
use std::time::{Duration, SystemTime};

/// The number of invocations that are kept. Records may be late, but an environment runs one invocation at a time.
const MAX_INVOCATIONS: usize = 4;
/// The same for Managed Instances, where up to 64 requests run at a time.
const MAX_MANAGED: usize = 64;
/// No invocation lasts longer, whatever its deadline says.
const LONGEST: Duration = Duration::from_mins(15);

/// The environment, from its start on.
#[derive(Debug)]
pub(super) struct Environment {
    /// Lambda Managed Instances: the report is the only word of a request's end, and SHUTDOWN ends no request.
    managed: bool,
    kinds: FaultKinds,
    /// The function's memory, in bytes.
    memory_size: u64,
    /// The latest, oldest first.
    invocations: VecDeque<Invocation>,
    /// How many there were before those.
    forgotten: u64,
    inits: Inits,
    /// The SDK has sent an error that nothing handled before there was an invocation.
    has_unhandled_error_in_init: bool,
    /// What the latest envelope says of an invocation that nothing else has told of so far.
    early_note: Option<(RequestId, EnvelopeNote)>,
    envelopes: PassedEnvelopes,
    shutdown: Option<ShutdownReason>,
    learnt: Learnt,
    rate: RateLimit,
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
    pub(super) fn new(kinds: FaultKinds, managed: bool, memory_size: u64) -> Self {
        Self {
            managed,
            kinds,
            memory_size,
            invocations: VecDeque::new(),
            forgotten: 0,
            inits: Inits::default(),
            has_unhandled_error_in_init: false,
            early_note: None,
            envelopes: PassedEnvelopes::default(),
            shutdown: None,
            learnt: Learnt::default(),
            rate: RateLimit::default(),
        }
    }

    /// Lambda announces an invocation, so the one before it is over. Returns the faults that are certain now.
    pub(super) fn invoked(&mut self, invoked: Invoked, now: SystemTime) -> Vec<Fault> {
        let faults = self.settled(Some(&invoked.request), now);
        let invocation = self.invocation(&invoked.request);
        invocation.deadline = invoked.deadline;
        invocation.arn = invoked.arn;
        invocation.invoked.get_or_insert(now);
        invocation.started.get_or_insert(now);
        invocation.xray = invocation.xray.take().or(invoked.trace);
        faults
    }

    /// Records have come.
    pub(super) fn heard(&mut self, records: Vec<Record>, now: SystemTime) -> Vec<Fault> {
        for record in records {
            self.enter(record);
        }
        self.certain(now)
    }

    /// An envelope has passed.
    pub(super) fn passed(&mut self, envelope: &Envelope) {
        // Requests that overlap cannot be told apart without their ids.
        let during = self.invocations.back().filter(|_| !self.managed).map(|running| running.request.clone());
        self.envelopes.keep(envelope, during);
    }

    /// Reads the envelopes that have passed.
    fn read_envelopes(&mut self) {
        for envelope in self.envelopes.take() {
            let (note, during) = envelope.read();
            self.note(note, during.as_ref());
        }
    }

    /// An envelope says this, and came during that invocation.
    pub(super) fn note(&mut self, note: EnvelopeNote, during: Option<&RequestId>) {
        self.learnt.release = note.release.clone().or_else(|| self.learnt.release.take());
        self.learnt.environment = note.environment.clone().or_else(|| self.learnt.environment.take());
        let Some(request) = note.request.as_deref().map(RequestId::new) else {
            match during {
                Some(during) => {
                    if let Some(running) = self.invocations.iter_mut().find(|one| one.request == *during) {
                        running.note(note, false);
                    }
                }
                None if self.managed => {}
                None => self.has_unhandled_error_in_init |= note.unhandled,
            }
            return;
        };
        match self.invocations.iter_mut().find(|one| one.request == request) {
            Some(invocation) => invocation.note(note, true),
            // The SDK may be faster than Lambda's own word of the invocation.
            None => self.early_note = Some((request, note)),
        }
    }

    /// So many bytes are in use by the invocation that runs.
    pub(super) fn sampled(&mut self, bytes: u64) {
        if let Some(invocation) = self.invocations.back_mut() {
            invocation.memory_peak = invocation.memory_peak.max(bytes);
        }
    }

    /// The kernel has killed a process for want of memory since this one began to watch.
    pub(super) fn oom_killed(&mut self) {
        if let Some(invocation) = self.invocations.back_mut() {
            invocation.oom_killed = true;
        }
    }

    /// SHUTDOWN has come.
    pub(super) fn shutting_down(&mut self, reason: ShutdownReason, now: SystemTime) -> Vec<Fault> {
        self.shutdown = Some(reason);
        self.certain(now)
    }

    /// Whether records that are on their way may say more about the end of the environment.
    pub(super) fn is_open(&self) -> bool {
        if self.managed {
            return false;
        }
        match (self.invocations.back(), self.shutdown) {
            // A failed init ends the environment as if nobody needed it any more, before its record comes.
            (None, Some(_)) => !self.inits.is_known(),
            (Some(last), Some(ShutdownReason::Timeout | ShutdownReason::Failure)) => !last.is_settled,
            _ => false,
        }
    }

    /// No more evidence is waited for. Returns the faults of all that is over.
    pub(super) fn closed(&mut self, now: SystemTime) -> Vec<Fault> {
        self.settled(None, now)
    }

    /// Whether an invocation runs, as far as is known.
    pub(super) fn is_running(&self, now: SystemTime) -> bool {
        let is_before = |deadline: Option<SystemTime>, started: Option<SystemTime>| {
            let end = deadline.or_else(|| started?.checked_add(LONGEST));
            end.is_some_and(|end| now < end)
        };
        self.shutdown.is_none()
            && self.invocations.back().is_some_and(|last| {
                last.runtime_done.is_none() && last.report.is_none() && is_before(last.deadline, last.started)
            })
    }

    fn enter(&mut self, record: Record) {
        match record.event {
            PlatformEvent::InitStart(_)
            | PlatformEvent::InitRuntimeDone(_)
            | PlatformEvent::InitReport(_)
            | PlatformEvent::RestoreRuntimeDone(_)
            | PlatformEvent::RestoreReport(_) => self.inits.enter(&record),
            PlatformEvent::Start(start) => {
                let invocation = self.invocation(&start.request);
                invocation.started = record.time.or(invocation.started);
                invocation.xray = start.trace.or_else(|| invocation.xray.take());
            }
            PlatformEvent::RuntimeDone(end) => {
                let invocation = self.invocation(&end.request);
                invocation.ended = invocation.ended.or(record.time);
                invocation.runtime_done.get_or_insert(end);
            }
            PlatformEvent::Report(end) => {
                let managed = self.managed;
                let invocation = self.invocation(&end.request);
                if managed {
                    invocation.ended = invocation.ended.or(record.time);
                }
                invocation.report.get_or_insert(end);
            }
            PlatformEvent::Fault(fault) => {
                let invocation = match &fault.request {
                    Some(request) => Some(self.invocation(request)),
                    None => self.invocations.back_mut(),
                };
                if let Some(invocation) = invocation {
                    invocation.fault_text.get_or_insert(fault.text);
                }
            }
            PlatformEvent::RestoreStart | PlatformEvent::Dropped => {}
        }
    }

    /// The invocation of that name, which may be told of for the first time.
    fn invocation(&mut self, request: &RequestId) -> &mut Invocation {
        let known = self.invocations.iter().rposition(|one| one.request == *request);
        let at = known.unwrap_or_else(|| {
            let most = if self.managed { MAX_MANAGED } else { MAX_INVOCATIONS };
            if self.invocations.len() >= most {
                self.invocations.pop_front();
                self.forgotten = self.forgotten.saturating_add(1);
            }
            let is_first = self.forgotten == 0 && self.invocations.is_empty();
            let mut fresh = Invocation { request: request.clone(), is_first, ..Invocation::default() };
            if let Some((_, note)) = self.early_note.take_if(|(early, _)| early == request) {
                fresh.note(note, true);
            }
            self.invocations.push_back(fresh);
            self.invocations.len() - 1
        });
        // It is there, or was just put there.
        #[expect(clippy::indexing_slicing)]
        &mut self.invocations[at]
    }
}

#[cfg(test)]
mod tests;
