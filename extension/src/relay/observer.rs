//! Tells what becomes of each envelope to an observer, if there is one: `--tail` shows it to people. In Lambda there is
//! none, and then each step costs the look that finds that out.

use super::envelope::Envelope;
use super::ledger::DropReason;
use super::refusal_reason::RefusalReason;
use std::fmt::{self, Display};
use std::time::Duration;

/// Something that an observer is told.
#[derive(Clone, Copy)]
pub enum Observed<'a> {
    /// An envelope has taken a step on its way.
    Envelope(&'a Envelope, Step<'a>),
    /// The gateway has refused a request. Nothing of it became an envelope.
    Refused {
        /// The status of the response, or 0 if there was none of ours.
        status: u16,
        /// The reason under which it is counted.
        reason: RefusalReason,
        /// The explanation that the client got. It may quote what the client has sent, without keys.
        why: fmt::Arguments<'a>,
    },
}

/// A step of an envelope on its way. Each way ends with `Delivered`, `Rejected` or `Dropped`, unless the process ends.
#[derive(Clone, Copy)]
pub enum Step<'a> {
    /// It was taken over from the client and waits.
    Accepted,
    /// Upstream has taken it.
    Delivered {
        /// The status of upstream's response.
        status: u16,
        /// How long the last try took.
        took: Duration,
    },
    /// Upstream has refused it for good.
    Rejected {
        /// The status of upstream's response.
        status: u16,
        /// The reason that upstream gave.
        why: Option<&'a str>,
    },
    /// A try has failed. It waits for the next one.
    Waits {
        /// The status of upstream's response, or why there is none.
        answer: &'a dyn Display,
    },
    /// It is lost. If only some of its items are, the observer is shown an envelope with these.
    Dropped(DropReason),
}

type Observe = Box<dyn Fn(Observed<'_>) + Send + Sync>;

/// The observer, if there is one. It is called while the state of the relay is locked, so it must not wait.
#[derive(Default)]
pub(super) struct Observer(Option<Observe>);

impl Observer {
    pub(super) fn new(observe: impl Fn(Observed<'_>) + Send + Sync + 'static) -> Self {
        Self(Some(Box::new(observe)))
    }

    pub(super) fn is_there(&self) -> bool {
        self.0.is_some()
    }

    pub(super) fn tell(&self, observed: Observed<'_>) {
        if let Some(observe) = &self.0 {
            observe(observed);
        }
    }
}

impl fmt::Debug for Observer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Observer").field(&self.is_there()).finish()
    }
}
