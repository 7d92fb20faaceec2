//! What may be asked of AWS at once: requests per second in a region, bytes on their way in all.

use crate::aws::congestion::{Slot, Slots};
use aws_sdk_lambda::config::{HttpClient, RuntimeComponents, SharedHttpClient, http::HttpRequest};
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector, http_client_fn,
};
use std::{sync::Arc, time::Duration};
use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

/// Lambda's control plane allows 15 requests/s per account and region over all callers: we leave a third.
const SPACING: Duration = Duration::from_millis(100);

/// Wraps a client so that its requests leave at least `SPACING` apart, the SDK's own retries included:
/// that is why this sits below the SDK.
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

/// A bound on the uploads on their way: on their number and on their bytes.
#[derive(Clone, Debug)]
pub(crate) struct InFlight {
    slots: Slots,
    kibibytes: Arc<Semaphore>,
    all: u32,
}

/// Reservation for one upload: a slot until it is answered, and bytes until they are handed over.
#[derive(Debug)]
pub(crate) struct Reservation {
    /// To be held until the answer: on a slow line, what is written is not sent by far.
    pub(crate) slot: Slot,
    /// To be held until all of it is in the kernel's hands.
    pub(crate) bytes: OwnedSemaphorePermit,
}

impl InFlight {
    /// At most so many uploads and so many mebibytes at once; one upload that is larger goes alone.
    pub(crate) fn new(uploads: u16, mebibytes: u16) -> Self {
        let all = u32::from(mebibytes.max(1)) * 1024;
        Self { slots: Slots::new(uploads), kibibytes: Arc::new(Semaphore::new(all as usize)), all }
    }

    /// Waits for room.
    pub(crate) async fn reserve(&self, bytes: u64) -> Option<Reservation> {
        let wanted = u32::try_from(bytes / 1024 + 1).unwrap_or(u32::MAX).min(self.all);
        let slot = self.slots.take().await;
        // None only for a closed semaphore, and nobody closes this one.
        let bytes = Arc::clone(&self.kibibytes).acquire_many_owned(wanted).await.ok()?;
        Some(Reservation { slot, bytes })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn uploads_wait_for_room_and_a_huge_one_goes_alone() {
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
