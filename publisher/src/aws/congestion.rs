//! How many uploads go at once: as many as allowed while they get across, half as many as soon as they do not.
//!
//! A slow line is shared by everything that is sent over it. If too much is sent at once, nothing gets across in time,
//! and all of it is sent again. So the bound is halved when an upload is given up, and grows by one for each round of
//! uploads that were answered, as TCP does it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::{sync::Notify, time::Instant};

/// The bound, by what became of the uploads so far.
#[derive(Debug)]
struct Window {
    limit: f64,
    most: f64,
    /// Uploads that began before this were part of what was too much, and say nothing of the new bound.
    halved: Option<Instant>,
}

impl Window {
    fn answered(&mut self) {
        self.limit = (self.limit + 1.0 / self.limit).min(self.most);
    }

    fn given_up(&mut self, begun: Instant, now: Instant) {
        if self.halved.is_none_or(|halved| begun >= halved) {
            self.limit = (self.limit / 2.0).max(1.0);
            self.halved = Some(now);
        }
    }

    fn has_room(&self, used: u32) -> bool {
        // A limit of 2.9 is one of two.
        f64::from(used + 1) <= self.limit
    }
}

#[derive(Debug)]
struct Inner {
    window: Window,
    used: u32,
}

/// The slots that uploads take, one each.
#[derive(Clone, Debug)]
pub(crate) struct Slots {
    inner: Arc<(Mutex<Inner>, Notify)>,
}

/// One upload's place, until it is dropped.
#[derive(Debug)]
pub(crate) struct Slot {
    slots: Slots,
    begun: Instant,
}

impl Slots {
    /// At most so many at once, and so many to begin with.
    pub(crate) fn new(most: u16) -> Self {
        let most = f64::from(most.max(1));
        let window = Window { limit: most, most, halved: None };
        Self { inner: Arc::new((Mutex::new(Inner { window, used: 0 }), Notify::new())) }
    }

    /// Waits for a place.
    pub(crate) async fn take(&self) -> Slot {
        loop {
            let freed = self.inner.1.notified();
            tokio::pin!(freed);
            // From here on, no place that is given back goes unnoticed.
            freed.as_mut().enable();
            {
                let mut inner = self.lock();
                if inner.window.has_room(inner.used) {
                    inner.used += 1;
                    return Slot { slots: self.clone(), begun: Instant::now() };
                }
            }
            freed.await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Slot {
    /// The upload got across.
    pub(crate) fn answered(&self) {
        self.slots.lock().window.answered();
        self.slots.inner.1.notify_waiters();
    }

    /// The upload did not get across.
    pub(crate) fn given_up(&self) {
        self.slots.lock().window.given_up(self.begun, Instant::now());
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.slots.lock().used -= 1;
        self.slots.inner.1.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn what_was_too_much_halves_the_bound_once_and_answers_bring_it_back() {
        let start = Instant::now();
        let after = |seconds| start + Duration::from_secs(seconds);
        let mut window = Window { limit: 32.0, most: 32.0, halved: None };
        window.answered();
        assert!((window.limit - 32.0).abs() < f64::EPSILON, "never more than allowed");
        // All that began together are given up together: that is one sign, and not thirty-two.
        for _ in 0..32 {
            window.given_up(start, after(60));
        }
        assert!(window.has_room(15) && !window.has_room(16));
        window.given_up(after(61), after(90));
        assert!(window.has_room(7) && !window.has_room(8));
        for _ in 0..9 {
            window.answered();
        }
        assert!(window.has_room(8) && !window.has_room(9), "{window:?}");
        for second in 100..110 {
            window.given_up(after(second), after(second));
        }
        assert!(window.has_room(0) && !window.has_room(1), "one always goes");
    }

    #[tokio::test]
    async fn a_place_is_free_once_it_is_given_back() {
        let slots = Slots::new(2);
        let (first, second) = (slots.take().await, slots.take().await);
        let third = tokio::spawn({
            let slots = slots.clone();
            async move { slots.take().await }
        });
        tokio::task::yield_now().await;
        assert!(!third.is_finished());
        drop(first);
        let third = third.await.unwrap();
        second.given_up();
        drop((second, third));
        let _one = slots.take().await;
        assert!(!slots.lock().window.has_room(1));
    }
}
