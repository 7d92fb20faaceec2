//! Finds the faults in what is known about the environment. Each fault is returned once.

use super::{Environment, MAX_REPORTED};
use crate::config::FaultKind;
use crate::insights::classify::{self, Evidence, Verdict};
use crate::insights::fault::{Fault, Subject};
use crate::insights::init::FailedInit;
use crate::insights::invocation::Invocation;
use crate::telemetry::RequestId;
use std::time::SystemTime;

impl Environment {
    /// Returns the faults that are certain already, although more evidence may come.
    pub(super) fn certain(&mut self, now: SystemTime) -> Vec<Fault> {
        let mut faults: Vec<Fault> =
            self.inits.take_failed().into_iter().filter_map(|init| self.of_init(init, now)).collect();
        for at in 0..self.invocations.len() {
            faults.extend(self.of_invocation(at, false, now));
        }
        faults
    }

    /// Returns the faults of everything that is over, which is every invocation except the one that begins now.
    pub(super) fn settled(&mut self, beginning: Option<&RequestId>, now: SystemTime) -> Vec<Fault> {
        let mut faults = self.certain(now);
        for at in 0..self.invocations.len() {
            if self.invocations.get(at).map(|one| &one.request) != beginning {
                faults.extend(self.of_invocation(at, true, now));
            }
        }
        // A failed init inside an invocation is a fault of that invocation.
        if beginning.is_none() && !self.has_announced {
            let init = self.inits.take_rest(self.shutdown.filter(|_| !self.managed));
            faults.extend(init.and_then(|init| self.of_init(init, now)));
        }
        faults
    }

    fn of_invocation(&mut self, at: usize, is_over: bool, now: SystemTime) -> Option<Fault> {
        let is_last = self.latest_at() == Some(at);
        let is_of_this_process = |one: &Invocation| one.is_announced || self.managed;
        let invocation = self.invocations.get(at).filter(|one| !one.is_settled && is_of_this_process(one))?;
        // On Managed Instances nothing about a request comes after its report, and SHUTDOWN ends no request.
        let is_over = if self.managed { invocation.report.is_some() } else { is_over };
        let shutdown = self.shutdown.filter(|_| is_last && !self.managed);
        let failed_init = self.inits.failed_within_invocation().filter(|_| invocation.is_first);
        let memory_size = self.memory_size;
        let verdict = classify::invocation(&Evidence { invocation, shutdown, failed_init, memory_size });
        let Some(verdict) = verdict.filter(|verdict| is_over || verdict.is_final) else {
            // An invocation that is known to have succeeded is not examined again.
            let is_known = invocation.runtime_done.is_some() || invocation.report.is_some();
            if is_over
                && is_known
                && let Some(invocation) = self.invocations.get_mut(at)
            {
                invocation.is_settled = true;
            }
            return None;
        };
        self.read_envelopes();
        let invocation = self.invocations.get(at)?;
        let is_error = matches!(verdict.kind, FaultKind::RuntimeExit | FaultKind::InitError);
        // The error was reported already: by the SDK, or as the error of the init that the invocation depends on.
        let is_reported = invocation.has_unhandled_error
            || (invocation.is_first && self.inits.is_reported_and_not_repaired());
        let time = invocation.ended.unwrap_or(now);
        let subject = Subject::Invocation(Box::new(invocation.clone()));
        if let Some(invocation) = self.invocations.get_mut(at) {
            invocation.is_settled = true;
            invocation.fault = Some(verdict.kind);
        }
        if verdict.kind == FaultKind::InitError {
            self.inits.settle_within_invocation();
        }
        if is_error && is_reported { None } else { self.admitted(verdict, time, subject, now) }
    }

    fn of_init(&mut self, init: FailedInit, now: SystemTime) -> Option<Fault> {
        self.read_envelopes();
        let is_reported = init.verdict.kind == FaultKind::InitError && self.has_unhandled_error_in_init;
        let time = init.ended.unwrap_or(now);
        if is_reported { None } else { self.admitted(init.verdict, time, Subject::Init, now) }
    }

    fn admitted(
        &mut self,
        verdict: Verdict,
        time: SystemTime,
        subject: Subject,
        now: SystemTime,
    ) -> Option<Fault> {
        let invocation = match &subject {
            Subject::Invocation(invocation) => Some(&**invocation),
            Subject::Init => None,
        };
        if !self.kinds.contains(verdict.kind)
            || invocation.is_some_and(|one| self.reported.contains(&one.request))
        {
            return None;
        }
        if !self.rate.admits(now) {
            self.left_out = self.left_out.saturating_add(1);
            return None;
        }
        if let Some(invocation) = invocation {
            self.reported.push_back(invocation.request.clone());
            while self.reported.len() > MAX_REPORTED {
                self.reported.pop_front();
            }
        }
        let is_cold_start = self.inits.is_cold_start(invocation);
        Some(Fault {
            verdict,
            time,
            subject,
            start: self.inits.start().cloned(),
            learnt: self.learnt.clone(),
            is_cold_start,
        })
    }
}
