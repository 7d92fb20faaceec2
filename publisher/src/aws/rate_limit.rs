//! Limits the load on AWS: the requests per second in each region, and the number and bytes of all uploads in flight.

use crate::aws::congestion::{Slot, Slots};
use aws_sdk_lambda::config::{HttpClient, RuntimeComponents, SharedHttpClient, http::HttpRequest};
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector, http_client_fn,
};
use std::{sync::Arc, time::Duration};
use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

/// Lambda's control plane allows 15 requests/s per account and region, shared by all callers. This spacing uses 10 of
/// them and leaves a third to others.
const SPACING: Duration = Duration::from_millis(100);

/// Wraps a client so that its requests leave at least `SPACING` apart. The wrapper is below the SDK, so that it also
/// spaces the SDK's own retries.
pub(crate) fn paced(inner: SharedHttpClient) -> SharedHttpClient {
    let next_slot = Arc::new(Mutex::new(Instant::now()));
    http_client_fn(move |settings: &HttpConnectorSettings, components: &RuntimeComponents| {
        let inner = inner.http_connector(settings, components);
        SharedHttpConnector::new(Paced { inner, next_slot: Arc::clone(&next_slot) })
    })
}

#[derive(Debug)]
struct Paced {
    inner: SharedHttpConnector,
    next_slot: Arc<Mutex<Instant>>,
}

impl HttpConnector for Paced {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let inner = self.inner.clone();
        let next_slot = Arc::clone(&self.next_slot);
        HttpConnectorFuture::new(async move {
            let slot = {
                let mut next = next_slot.lock().await;
                let slot = (*next).max(Instant::now());
                *next = slot + SPACING;
                slot
            };
            tokio::time::sleep_until(slot).await;
            inner.call(request).await
        })
    }
}

/// Limits the uploads in flight, by their number and by their bytes.
#[derive(Clone, Debug)]
pub(crate) struct InFlight {
    slots: Slots,
    kibibytes: Arc<Semaphore>,
    total_kibibytes: u32,
}

/// The reservation of one upload. The slot is held until the answer, the bytes until they are handed over.
#[derive(Debug)]
pub(crate) struct Reservation {
    /// The slot, which must be held until the answer. On a slow line, written data may still be far from sent.
    pub(crate) slot: Slot,
    /// The room for the bytes, which must be held until the kernel has taken all of them.
    pub(crate) bytes: OwnedSemaphorePermit,
}

impl InFlight {
    /// Allows at most this many uploads and mebibytes at once. An upload that is larger than the limit takes all of it
    /// and goes alone.
    pub(crate) fn new(uploads: u16, mebibytes: u16) -> Self {
        let total_kibibytes = u32::from(mebibytes.max(1)) * 1024;
        Self {
            slots: Slots::new(uploads),
            kibibytes: Arc::new(Semaphore::new(total_kibibytes as usize)),
            total_kibibytes,
        }
    }

    /// Waits until there is room for an upload of this many bytes. Returns `None` only if the semaphore is closed.
    pub(crate) async fn reserve(&self, bytes: u64) -> Option<Reservation> {
        let wanted = u32::try_from(bytes / 1024 + 1).unwrap_or(u32::MAX).min(self.total_kibibytes);
        let slot = self.slots.take().await;
        // `acquire_many_owned` fails only on a closed semaphore, and no code closes this one.
        let bytes = Arc::clone(&self.kibibytes).acquire_many_owned(wanted).await.ok()?;
        Some(Reservation { slot, bytes })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn uploads_wait_for_room_and_a_huge_one_is_sent_alone() {
        let flight = InFlight::new(8, 1);
        let huge = flight.reserve(u64::MAX).await;
        assert!(huge.is_some());
        let mut second = Box::pin(flight.reserve(10));
        assert!(tokio::time::timeout(Duration::from_millis(20), &mut second).await.is_err());
        drop(huge);
        assert!(second.await.is_some());
        let one = InFlight::new(1, 100);
        let first = one.reserve(1).await;
        assert!(tokio::time::timeout(Duration::from_millis(20), one.reserve(1)).await.is_err());
        drop(first);
        assert!(one.reserve(1).await.is_some());
    }
}
