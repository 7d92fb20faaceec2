//! Holds requests until the test opens the gate. The test can wait until a request has arrived.

use std::{
    sync::{Arc, Condvar, Mutex},
    time::Duration,
};

/// A gate. All clones are the same gate.
#[derive(Clone, Default)]
pub struct Gate {
    inner: Arc<(Mutex<State>, Condvar)>,
}

#[derive(Default)]
struct State {
    arrived: usize,
    opened: Option<bool>,
}

impl Gate {
    /// Waits until the gate is opened. Returns whether the request may continue.
    pub fn wait(&self) -> bool {
        let (state, change) = &*self.inner;
        let mut state = state.lock().unwrap();
        state.arrived += 1;
        change.notify_all();
        change.wait_while(state, |state| state.opened.is_none()).unwrap().opened == Some(true)
    }

    /// Waits until one request has arrived at the gate.
    #[track_caller]
    pub fn reached(&self) {
        self.reached_by(1);
    }

    /// Waits until `count` requests have arrived at the gate.
    #[track_caller]
    pub fn reached_by(&self, count: usize) {
        let (state, change) = &*self.inner;
        let limit = Duration::from_mins(2);
        let waited = change.wait_timeout_while(state.lock().unwrap(), limit, |state| state.arrived < count);
        assert!(!waited.unwrap().1.timed_out(), "no request came to the gate within two minutes");
    }

    /// Waits until a request has arrived or `other` is true. Returns whether a request has arrived.
    pub fn reached_or(&self, mut other: impl FnMut() -> bool) -> bool {
        let (state, change) = &*self.inner;
        loop {
            let limit = Duration::from_millis(20);
            let waited = change.wait_timeout_while(state.lock().unwrap(), limit, |state| state.arrived == 0);
            if !waited.unwrap().1.timed_out() {
                return true;
            }
            if other() {
                return self.inner.0.lock().unwrap().arrived > 0;
            }
        }
    }

    /// Opens the gate. The waiting requests continue if `pass` is true, and are refused if not.
    pub fn open(&self, pass: bool) {
        let (state, change) = &*self.inner;
        state.lock().unwrap().opened = Some(pass);
        change.notify_all();
    }
}
