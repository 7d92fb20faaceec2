//! What telemetry has reported about the latest invocations. This is pure bookkeeping.

use super::record::PlatformEvent;
use super::request_id::RequestId;
use std::collections::VecDeque;

/// The number of requests that are kept. An environment runs one invocation at a time, but records may come late and in
/// one batch.
const MAX_REQUESTS: usize = 8;

/// What telemetry has reported about one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum InvocationState {
    /// Nothing was reported about this request.
    None,
    /// The function was started for it.
    Running,
    /// The function is done, or its end will never be reported because records were dropped.
    Done,
}

/// The state of the latest requests.
#[derive(Clone, Debug, Default)]
pub(super) struct InvocationLog {
    requests: VecDeque<(RequestId, InvocationState)>,
    /// The number of requests that were reported as done so far.
    pub(super) done: u64,
}

impl InvocationLog {
    pub(super) fn add(&mut self, event: &PlatformEvent) {
        match event {
            PlatformEvent::Start(start) => self.set(&start.request, InvocationState::Running),
            PlatformEvent::RuntimeDone(end) => {
                self.done = self.done.saturating_add(1);
                self.set(&end.request, InvocationState::Done);
            }
            // A report ends a wait but does not count as done. Except on Managed Instances, Lambda sends it only
            // after the extension has called Next, so it does not prove that telemetry is in time.
            PlatformEvent::Report(end) => self.set(&end.request, InvocationState::Done),
            // A dropped record may have been the one that a hold waits for, so every wait ends.
            PlatformEvent::Dropped => {
                self.requests.iter_mut().for_each(|(_, state)| *state = InvocationState::Done);
            }
            _ => {}
        }
    }

    /// Returns what was reported about a request.
    pub(super) fn state_of(&self, request: &RequestId) -> InvocationState {
        self.requests
            .iter()
            .find(|(known, _)| known == request)
            .map_or(InvocationState::None, |(_, state)| *state)
    }

    fn set(&mut self, request: &RequestId, state: InvocationState) {
        if let Some((_, known)) = self.requests.iter_mut().find(|(known, _)| known == request) {
            // A start record that arrives after the end of the same request is late and changes nothing.
            if *known != InvocationState::Done {
                *known = state;
            }
            return;
        }
        if self.requests.len() >= MAX_REQUESTS {
            self.requests.pop_front();
        }
        self.requests.push_back((request.clone(), state));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::record::{InvocationEnd, InvocationStart};

    fn start(id: &str) -> PlatformEvent {
        PlatformEvent::Start(InvocationStart { request: RequestId::new(id), trace: None })
    }

    fn done(id: &str) -> PlatformEvent {
        PlatformEvent::RuntimeDone(ended(id))
    }

    fn ended(id: &str) -> InvocationEnd {
        InvocationEnd {
            request: RequestId::new(id),
            status: "success".to_owned(),
            ..InvocationEnd::default()
        }
    }

    #[test]
    fn a_report_ends_a_wait_but_does_not_count_as_done() {
        let mut invocations = InvocationLog::default();
        invocations.add(&start("a"));
        invocations.add(&PlatformEvent::Report(ended("a")));
        assert_eq!(
            (invocations.state_of(&RequestId::new("a")), invocations.done),
            (InvocationState::Done, 0)
        );
    }

    #[test]
    fn records_may_arrive_in_any_order() {
        let mut invocations = InvocationLog::default();
        for record in [start("a"), done("a"), done("b"), start("b"), start("c")] {
            invocations.add(&record);
        }
        let state_of = |id| invocations.state_of(&RequestId::new(id));
        assert_eq!(
            [state_of("a"), state_of("b"), state_of("c"), state_of("d")],
            [InvocationState::Done, InvocationState::Done, InvocationState::Running, InvocationState::None]
        );
        assert_eq!(invocations.done, 2);
    }

    #[test]
    fn dropped_records_end_every_wait() {
        let mut invocations = InvocationLog::default();
        invocations.add(&start("a"));
        invocations.add(&PlatformEvent::Dropped);
        assert_eq!(invocations.state_of(&RequestId::new("a")), InvocationState::Done);
    }

    #[test]
    fn only_the_latest_requests_are_kept() {
        let mut invocations = InvocationLog::default();
        for n in 0..1000 {
            invocations.add(&done(&n.to_string()));
        }
        assert_eq!(invocations.requests.len(), MAX_REQUESTS);
        assert_eq!(invocations.state_of(&RequestId::new("999")), InvocationState::Done);
    }
}
