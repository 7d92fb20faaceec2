//! The wall clock of deliveries, which tests can set forward as a freeze does.

use std::time::SystemTime;

#[cfg(not(test))]
pub(super) use real as now;

#[cfg(test)]
pub(super) use testing::now;

#[inline]
pub(super) fn real() -> SystemTime {
    SystemTime::now()
}

#[cfg(test)]
pub(super) mod testing {
    use std::cell::Cell;
    use std::time::{Duration, SystemTime};

    thread_local! {
        static AHEAD: Cell<Duration> = const { Cell::new(Duration::ZERO) };
    }

    pub(in crate::relay) fn now() -> SystemTime {
        super::real() + AHEAD.get()
    }

    /// Sets the clock of this thread forward, and with it that of a runtime that runs on it.
    pub(in crate::relay) fn jump(by: Duration) {
        AHEAD.set(AHEAD.get() + by);
    }
}
