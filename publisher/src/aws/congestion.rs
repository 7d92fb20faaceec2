//! Limits the number of concurrent uploads. The limit halves when an upload fails to get through, and it grows again
//! up to the allowed maximum while uploads succeed.
//!
//! All uploads share one line, which may be slow. If too many are sent at once, none of them finishes in time, and all
//! of them have to be sent again. So the limit is halved when an upload is given up, and it grows by one for each
//! round of answered uploads, as in TCP.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::{sync::Notify, time::Instant};

/// The current limit, which depends on the results of the uploads so far.
#[derive(Debug)]
struct Window {
    limit: f64,
    maximum: f64,
    /// The time when the limit was halved last. Uploads that began before that time belong to the overload that is
    /// already handled, so their failure does not halve the limit again.
    last_halved: Option<Instant>,
}

impl Window {
    fn response_received(&mut self) {
        self.limit = (self.limit + 1.0 / self.limit).min(self.maximum);
    }

    fn upload_aborted(&mut self, started: Instant, now: Instant) {
        if self.last_halved.is_none_or(|last_halved| started >= last_halved) {
            self.limit = (self.limit / 2.0).max(1.0);
            self.last_halved = Some(now);
        }
    }

    fn has_room(&self, used: u32) -> bool {
        // The limit is rounded down: a limit of 2.9 allows two uploads.
        f64::from(used + 1) <= self.limit
    }
}

#[derive(Debug)]
struct Inner {
    window: Window,
    used: u32,
}

/// The slots of concurrent uploads. Each upload takes one.
#[derive(Clone, Debug)]
pub(crate) struct Slots {
    inner: Arc<(Mutex<Inner>, Notify)>,
}

/// The slot of one upload. Dropping it frees the slot.
#[derive(Debug)]
pub(crate) struct Slot {
    slots: Slots,
    started: Instant,
}

impl Slots {
    /// Allows at most this many uploads at once. The limit starts at this maximum.
    pub(crate) fn new(maximum: u16) -> Self {
        let maximum = f64::from(maximum.max(1));
        let window = Window { limit: maximum, maximum, last_halved: None };
        Self { inner: Arc::new((Mutex::new(Inner { window, used: 0 }), Notify::new())) }
    }

    /// Waits for a free slot and takes it.
    pub(crate) async fn take(&self) -> Slot {
        loop {
            let freed = self.inner.1.notified();
            tokio::pin!(freed);
            // The waiter is registered before the check below. So it does not miss a slot that is freed between the
            // check and the wait.
            freed.as_mut().enable();
            {
                let mut inner = self.lock();
                if inner.window.has_room(inner.used) {
                    inner.used += 1;
                    return Slot { slots: self.clone(), started: Instant::now() };
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
    /// Reports that the upload got an answer, so the limit may grow.
    pub(crate) fn response_received(&self) {
        self.slots.lock().window.response_received();
        self.slots.inner.1.notify_waiters();
    }

    /// Reports that the upload was given up, so the limit may be halved.
    pub(crate) fn upload_aborted(&self) {
        self.slots.lock().window.upload_aborted(self.started, Instant::now());
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
    fn an_overload_halves_the_limit_once_and_responses_raise_it_again() {
        let start = Instant::now();
        let after = |seconds| start + Duration::from_secs(seconds);
        let mut window = Window { limit: 32.0, maximum: 32.0, last_halved: None };
        window.response_received();
        assert!((window.limit - 32.0).abs() < f64::EPSILON, "never more than allowed");
        // Uploads that began together and fail together count as one sign of overload, not as thirty-two.
        for _ in 0..32 {
            window.upload_aborted(start, after(60));
        }
        assert!(window.has_room(15) && !window.has_room(16));
        window.upload_aborted(after(61), after(90));
        assert!(window.has_room(7) && !window.has_room(8));
        for _ in 0..9 {
            window.response_received();
        }
        assert!(window.has_room(8) && !window.has_room(9), "{window:?}");
        for second in 100..110 {
            window.upload_aborted(after(second), after(second));
        }
        assert!(window.has_room(0) && !window.has_room(1), "one upload must always be allowed");
    }

    #[tokio::test]
    async fn a_dropped_slot_is_free_for_the_next_upload() {
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
        second.upload_aborted();
        drop((second, third));
        let _one = slots.take().await;
        assert!(!slots.lock().window.has_room(1));
    }
}
