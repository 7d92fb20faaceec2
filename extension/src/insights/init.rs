//! What is known about init, which Lambda may run again inside an invocation, and about restores from a snapshot. It is
//! pure.

use super::classify::{self, ShutdownReason, Verdict};
use super::invocation::Invocation;
use crate::config::PROVISIONED;
use crate::telemetry::{InitPhase, InitStart, PhaseEnd, PlatformEvent, Record};
use std::time::{Duration, SystemTime};

/// All inits of the environment. The fault of each is reported once.
#[derive(Debug, Default)]
pub(super) struct Inits {
    /// Whether the environment was initialized ahead of time by what its variables say. Records count for more.
    is_provisioned: bool,
    start: Option<InitStart>,
    /// The init before the first invocation.
    ahead: Generation,
    /// The init that Lambda ran inside an invocation, because the first one failed or the environment was reset.
    within_invocation: Generation,
    restore: Generation,
}

/// One run of init, or a restore.
#[derive(Debug, Default)]
struct Generation {
    end: Option<PhaseEnd>,
    report: Option<PhaseEnd>,
    started: Option<SystemTime>,
    ended: Option<SystemTime>,
    /// Whether its fault was reported.
    is_reported: bool,
}

/// An init or a restore that failed.
#[derive(Debug)]
pub(super) struct FailedInit {
    pub(super) verdict: Verdict,
    pub(super) ended: Option<SystemTime>,
}

impl Inits {
    pub(super) fn new(is_provisioned: bool) -> Self {
        Self { is_provisioned, ..Self::default() }
    }

    /// Takes in a record of an init or a restore.
    pub(super) fn enter(&mut self, record: &Record) {
        match &record.event {
            PlatformEvent::InitStart(start) => {
                self.of(start.phase).started = record.time;
                self.start = Some(start.clone());
            }
            PlatformEvent::RestoreStart => self.restore.started = record.time,
            PlatformEvent::InitRuntimeDone(end) => self.of(end.phase).end(end, record.time),
            PlatformEvent::InitReport(end) => self.of(end.phase).report(end, record.time),
            PlatformEvent::RestoreRuntimeDone(end) => self.restore.end(end, record.time),
            PlatformEvent::RestoreReport(end) => self.restore.report(end, record.time),
            _ => {}
        }
    }

    /// Returns how the latest init began.
    pub(super) fn start(&self) -> Option<&InitStart> {
        self.start.as_ref()
    }

    /// Returns how the environment was initialized, in Lambda's words. It is empty if that is not known.
    pub(super) fn initialization_type(&self) -> &str {
        let recorded = self.start.as_ref().map(|start| &*start.initialization_type).unwrap_or_default();
        if recorded.is_empty() && self.is_provisioned { PROVISIONED } else { recorded }
    }

    /// Whether an invocation is a cold start: the first one after an init on demand, or that init itself. After a fault
    /// the same sandbox runs init again, and with provisioned concurrency init is over long before the first
    /// invocation.
    pub(super) fn is_cold_start(&self, invocation: Option<&Invocation>) -> bool {
        let is_again = self.start.as_ref().is_some_and(|start| start.phase == InitPhase::Invoke);
        let is_ahead = self.initialization_type() == PROVISIONED;
        !is_ahead && !is_again && invocation.is_none_or(|invocation| invocation.is_first)
    }

    /// Returns the times of the init that the first invocation waited for. If that was run inside the invocation, the
    /// one before has failed.
    pub(super) fn initialized(&self) -> Option<(SystemTime, SystemTime)> {
        self.within_invocation.times().or_else(|| self.ahead.times())
    }

    /// Returns the times of the restore from a snapshot.
    pub(super) fn restored(&self) -> Option<(SystemTime, SystemTime)> {
        self.restore.times()
    }

    /// Returns how the environment was initialized, and in how many milliseconds. `None`: it is not known yet.
    pub(super) fn described(&self) -> Option<(&str, Option<f64>)> {
        let end = self.ahead.report.as_ref().or(self.ahead.end.as_ref());
        Some((&*self.start.as_ref()?.initialization_type, end.and_then(|end| end.duration_ms)))
    }

    /// Whether the failure of an init before the first invocation was reported.
    pub(super) fn was_reported(&self) -> bool {
        self.ahead.is_reported || self.restore.is_reported
    }

    /// Whether the end of the init is known, and of the restore if the environment comes from a snapshot, so that no
    /// further record of them will come.
    pub(super) fn are_known(&self) -> bool {
        let is_restored = self.restore.is_seen() || self.initialization_type() == "snap-start";
        let is_init_known =
            [&self.ahead, &self.within_invocation].into_iter().any(|generation| generation.end.is_some());
        if is_restored { self.restore.end.is_some() } else { is_init_known }
    }

    /// Whether the failure of an init before the first invocation was reported, and no init inside an invocation has
    /// succeeded since then.
    pub(super) fn is_reported_and_not_repaired(&self) -> bool {
        let again = self.within_invocation.end.as_ref().or(self.within_invocation.report.as_ref());
        self.was_reported() && again.is_none_or(classify::has_failed)
    }

    /// Returns the end of the init inside an invocation, if it failed.
    pub(super) fn failed_within_invocation(&self) -> Option<&PhaseEnd> {
        self.within_invocation.failure()
    }

    /// Records that the failure of the init inside an invocation was reported as the fault of that invocation.
    pub(super) fn settle_within_invocation(&mut self) {
        self.within_invocation.is_reported = true;
    }

    /// Returns the failures before the first invocation that are certain and were not returned yet.
    pub(super) fn take_failed(&mut self) -> Vec<FailedInit> {
        let generations = [(&mut self.ahead, "init"), (&mut self.restore, "restore")];
        let certain = generations.into_iter().filter(|(generation, _)| generation.end.is_some());
        certain.filter_map(|(generation, phase)| generation.take(phase, None)).collect()
    }

    /// Returns the failure that is likely when the environment ends without an invocation, although no record reports
    /// it for certain.
    pub(super) fn take_rest(&mut self, shutdown: Option<ShutdownReason>) -> Option<FailedInit> {
        if self.was_reported() || self.within_invocation.is_reported {
            return None;
        }
        let reported = [(&mut self.within_invocation, "init"), (&mut self.restore, "restore")];
        let failed = reported.into_iter().find_map(|(generation, phase)| generation.take(phase, None));
        failed.or_else(|| self.ahead.take("init", shutdown))
    }

    fn of(&mut self, phase: InitPhase) -> &mut Generation {
        match phase {
            InitPhase::Init => &mut self.ahead,
            InitPhase::Invoke => &mut self.within_invocation,
        }
    }
}

impl Generation {
    fn end(&mut self, end: &PhaseEnd, time: Option<SystemTime>) {
        self.ended = time.or(self.ended);
        self.end.get_or_insert_with(|| end.clone());
    }

    fn report(&mut self, end: &PhaseEnd, time: Option<SystemTime>) {
        self.ended = self.ended.or(time);
        self.report.get_or_insert_with(|| end.clone());
    }

    /// Returns start and end. The report measures the whole phase, also that of extensions.
    fn times(&self) -> Option<(SystemTime, SystemTime)> {
        let measured = self.report.as_ref().and_then(|report| report.duration_ms);
        let duration = measured.and_then(|millis| Duration::try_from_secs_f64(millis / 1000.0).ok());
        let by_duration = || self.started?.checked_add(duration?);
        Some((self.started?, by_duration().or(self.ended)?))
    }

    fn is_seen(&self) -> bool {
        self.started.is_some() || self.end.is_some() || self.report.is_some()
    }

    fn failure(&self) -> Option<&PhaseEnd> {
        [&self.end, &self.report].into_iter().flatten().find(|end| classify::has_failed(end))
    }

    fn take(&mut self, phase: &'static str, shutdown: Option<ShutdownReason>) -> Option<FailedInit> {
        if self.is_reported {
            return None;
        }
        let verdict = classify::init(phase, self.end.as_ref(), self.report.as_ref(), shutdown)?;
        self.is_reported = true;
        Some(FailedInit { verdict, ended: self.ended })
    }
}
