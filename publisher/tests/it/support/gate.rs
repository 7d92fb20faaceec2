//! A place where one request waits, and the test knows that it is there.

use std::{
    sync::{Arc, Condvar, Mutex},
    time::Duration,
};

/// A gate; clones are the same gate.
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
    /// Waits until the gate is opened: whether to go on.
    pub fn wait(&self) -> bool {
        let (state, change) = &*self.inner;
        let mut state = state.lock().unwrap();
        state.arrived += 1;
        change.notify_all();
        change.wait_while(state, |state| state.opened.is_none()).unwrap().opened == Some(true)
    }

    /// Waits until somebody stands at the gate.
    #[track_caller]
    pub fn reached(&self) {
        self.reached_by(1);
    }

    /// Waits until so many stand at the gate.
    #[track_caller]
    pub fn reached_by(&self, count: usize) {
        let (state, change) = &*self.inner;
        let limit = Duration::from_mins(2);
        let waited = change.wait_timeout_while(state.lock().unwrap(), limit, |state| state.arrived < count);
        assert!(!waited.unwrap().1.timed_out(), "nobody came to the gate within two minutes");
    }

    /// The same, unless something else happens first: whether somebody came.
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

    /// Lets everybody pass, or sends them away.
    pub fn open(&self, pass: bool) {
        let (state, change) = &*self.inner;
        state.lock().unwrap().opened = Some(pass);
        change.notify_all();
    }
}
