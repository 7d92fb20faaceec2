//! What was heard of the running invocations, and whether it is worth waiting for more. Pure.

use super::record::PlatformEvent;
use super::request_id::RequestId;
use std::collections::VecDeque;

/// There is one invocation at a time; records may come late and in one batch.
const REMEMBERED: usize = 8;

/// What a wait for the function's end has come to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum InvocationState {
    /// Not a word of this request.
    None,
    /// It runs.
    Running,
    /// It is done, or it will never be known.
    Done,
}

/// The latest requests.
#[derive(Clone, Debug, Default)]
pub(super) struct InvocationLog {
    requests: VecDeque<(RequestId, InvocationState)>,
    /// How many requests were reported as done so far.
    pub(super) done: u64,
}

impl InvocationLog {
    pub(super) fn enter(&mut self, event: &PlatformEvent) {
        match event {
            PlatformEvent::Start(start) => self.set(&start.request, InvocationState::Running),
            PlatformEvent::RuntimeDone(end) => {
                self.done = self.done.saturating_add(1);
                self.set(&end.request, InvocationState::Done);
            }
            // It ends a wait, but proves nothing: elsewhere it comes only after the extension has called Next.
            PlatformEvent::Report(end) => self.set(&end.request, InvocationState::Done),
            // What was dropped may have been what somebody is waiting for.
            PlatformEvent::Dropped => {
                self.requests.iter_mut().for_each(|(_, state)| *state = InvocationState::Done);
            }
            _ => {}
        }
    }

    /// What is known of a request.
    pub(super) fn of(&self, request: &RequestId) -> InvocationState {
        self.requests
            .iter()
            .find(|(known, _)| known == request)
            .map_or(InvocationState::None, |(_, state)| *state)
    }

    fn set(&mut self, request: &RequestId, state: InvocationState) {
        if let Some((_, known)) = self.requests.iter_mut().find(|(known, _)| known == request) {
            // A start that comes behind its end is late.
            if *known != InvocationState::Done {
                *known = state;
            }
            return;
        }
        if self.requests.len() >= REMEMBERED {
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
    fn a_report_ends_a_wait_and_restores_no_trust() {
        let mut invocations = InvocationLog::default();
        invocations.enter(&start("a"));
        invocations.enter(&PlatformEvent::Report(ended("a")));
        assert_eq!((invocations.of(&RequestId::new("a")), invocations.done), (InvocationState::Done, 0));
    }

    #[test]
    fn the_latest_requests_in_any_order() {
        let mut invocations = InvocationLog::default();
        for record in [start("a"), done("a"), done("b"), start("b"), start("c")] {
            invocations.enter(&record);
        }
        let of = |id| invocations.of(&RequestId::new(id));
        assert_eq!(
            [of("a"), of("b"), of("c"), of("d")],
            [InvocationState::Done, InvocationState::Done, InvocationState::Running, InvocationState::None]
        );
        assert_eq!(invocations.done, 2);
    }

    #[test]
    fn a_gap_ends_every_wait() {
        let mut invocations = InvocationLog::default();
        invocations.enter(&start("a"));
        invocations.enter(&PlatformEvent::Dropped);
        assert_eq!(invocations.of(&RequestId::new("a")), InvocationState::Done);
    }

    #[test]
    fn memory_is_bounded() {
        let mut invocations = InvocationLog::default();
        for n in 0..1000 {
            invocations.enter(&done(&n.to_string()));
        }
        assert_eq!(invocations.requests.len(), REMEMBERED);
        assert_eq!(invocations.of(&RequestId::new("999")), InvocationState::Done);
    }
}
