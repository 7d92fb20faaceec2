//! What was heard of the running invocations, and whether it is worth waiting for more. Pure.

use super::record::Record;
use crate::lifecycle::event::RequestId;
use std::collections::VecDeque;

/// There is one invocation at a time; records may come late and in one batch.
const REMEMBERED: usize = 8;

/// What a wait for the function's end has come to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sign {
    /// Not a word of this request.
    None,
    /// It runs.
    Running,
    /// It is done, or it will never be known.
    Done,
}

/// The latest requests.
#[derive(Clone, Debug, Default)]
pub(super) struct Heard {
    requests: VecDeque<(RequestId, Sign)>,
    /// How many requests were reported as done so far.
    pub(super) done: u64,
}

impl Heard {
    pub(super) fn enter(&mut self, record: &Record) {
        match record {
            Record::Start(request) => self.set(request, Sign::Running),
            Record::RuntimeDone(outcome) => {
                self.done = self.done.saturating_add(1);
                self.set(&outcome.request, Sign::Done);
            }
            // It ends a wait, but proves nothing: elsewhere it comes only after the extension has called Next.
            Record::Report(outcome) => self.set(&outcome.request, Sign::Done),
            // What was dropped may have been what somebody is waiting for.
            Record::Dropped => self.requests.iter_mut().for_each(|(_, sign)| *sign = Sign::Done),
            Record::Init(_) | Record::Restore(_) => {}
        }
    }

    /// What is known of a request.
    pub(super) fn of(&self, request: &RequestId) -> Sign {
        self.requests.iter().find(|(known, _)| known == request).map_or(Sign::None, |(_, sign)| *sign)
    }

    fn set(&mut self, request: &RequestId, sign: Sign) {
        if let Some((_, known)) = self.requests.iter_mut().find(|(known, _)| known == request) {
            // A start that comes behind its end is late.
            if *known != Sign::Done {
                *known = sign;
            }
            return;
        }
        if self.requests.len() >= REMEMBERED {
            self.requests.pop_front();
        }
        self.requests.push_back((request.clone(), sign));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lifecycle::telemetry::record::Outcome;

    fn start(id: &str) -> Record {
        Record::Start(RequestId::new(id))
    }

    fn done(id: &str) -> Record {
        Record::RuntimeDone(outcome(id))
    }

    fn outcome(id: &str) -> Outcome {
        Outcome { request: RequestId::new(id), status: "success".to_owned(), error_type: None }
    }

    #[test]
    fn a_report_ends_a_wait_and_restores_no_trust() {
        let mut heard = Heard::default();
        heard.enter(&start("a"));
        heard.enter(&Record::Report(outcome("a")));
        assert_eq!((heard.of(&RequestId::new("a")), heard.done), (Sign::Done, 0));
    }

    #[test]
    fn the_latest_requests_in_any_order() {
        let mut heard = Heard::default();
        for record in [start("a"), done("a"), done("b"), start("b"), start("c")] {
            heard.enter(&record);
        }
        let of = |id| heard.of(&RequestId::new(id));
        assert_eq!([of("a"), of("b"), of("c"), of("d")], [Sign::Done, Sign::Done, Sign::Running, Sign::None]);
        assert_eq!(heard.done, 2);
    }

    #[test]
    fn a_gap_ends_every_wait() {
        let mut heard = Heard::default();
        heard.enter(&start("a"));
        heard.enter(&Record::Dropped);
        assert_eq!(heard.of(&RequestId::new("a")), Sign::Done);
    }

    #[test]
    fn memory_is_bounded() {
        let mut heard = Heard::default();
        for n in 0..1000 {
            heard.enter(&done(&n.to_string()));
        }
        assert_eq!(heard.requests.len(), REMEMBERED);
        assert_eq!(heard.of(&RequestId::new("999")), Sign::Done);
    }
}
