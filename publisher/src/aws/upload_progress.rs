//! Watches whether an upload makes progress. An upload is given up when no more data gets through, not after a fixed
//! time.

use crate::aws::{http::Timeouts, send_queue};
use aws_smithy_runtime_api::client::connection::CaptureSmithyConnection;
use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::time::Instant;

/// How often the position is compared.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// The progress of one upload.
#[derive(Clone, Debug)]
pub(crate) struct UploadProgress {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    bytes: u64,
    written: AtomicU64,
    connection: Mutex<Option<CaptureSmithyConnection>>,
}

/// How far an upload is. Two equal positions show that nothing has moved in between.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Position {
    written: u64,
    unacknowledged: Option<u64>,
}

impl UploadProgress {
    /// Watches an upload of this many bytes.
    pub(crate) fn new(bytes: u64) -> Self {
        let inner = Inner { bytes, written: AtomicU64::new(0), connection: Mutex::new(None) };
        Self { inner: Arc::new(inner) }
    }

    /// Records that this many more bytes were handed to the connection.
    pub(crate) fn add_written(&self, bytes: u64) {
        self.inner.written.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Records that the upload begins again with the first byte.
    pub(crate) fn restart(&self) {
        self.inner.written.store(0, Ordering::Relaxed);
    }

    /// Records the connection that the upload uses.
    pub(crate) fn set_connection(&self, connection: CaptureSmithyConnection) {
        *self.inner.connection.lock().unwrap_or_else(PoisonError::into_inner) = Some(connection);
    }

    /// Whether a part of the upload was not even handed over. In this case AWS cannot have carried out the request.
    pub(crate) fn is_incomplete(&self) -> bool {
        self.inner.written.load(Ordering::Relaxed) < self.inner.bytes
    }

    fn position(&self) -> Position {
        let connection = self.inner.connection.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let port = connection.and_then(|connection| connection.get()?.local_addr()).map(|local| local.port());
        Position {
            written: self.inner.written.load(Ordering::Relaxed),
            unacknowledged: port.and_then(send_queue::unacknowledged_bytes),
        }
    }

    /// Returns when nothing has moved for too long.
    pub(crate) async fn wait_until_stalled(&self, timeouts: Timeouts) {
        let mut last = self.position();
        let mut last_change = Instant::now();
        loop {
            tokio::time::sleep(CHECK_INTERVAL).await;
            let now = self.position();
            if now != last {
                last = now;
                last_change = Instant::now();
            }
            if last_change.elapsed() >= stall_timeout(last, self.inner.bytes, timeouts) {
                return;
            }
        }
    }
}

/// How long an upload may stay at this position before it is given up.
fn stall_timeout(position: Position, bytes: u64, timeouts: Timeouts) -> Duration {
    match position.unacknowledged {
        // The data is still on its way.
        _ if position.written < bytes => timeouts.answer(),
        Some(left) if left > 0 => timeouts.answer(),
        // Lambda has all data. It unpacks and checks the zip before it answers.
        Some(_) => 2 * timeouts.answer(),
        // It is unknown whether the data is still on its way, so the limit allows for both.
        None => timeouts.unwatched_upload(bytes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_is_longer_after_lambda_has_all_data() {
        let timeouts = Timeouts::seconds(30);
        let of = |written, unacknowledged| {
            stall_timeout(Position { written, unacknowledged }, 1_048_576, timeouts).as_secs()
        };
        assert_eq!([of(5, Some(5)), of(5, None), of(1_048_576, Some(9))], [30, 30, 30]);
        assert_eq!([of(1_048_576, Some(0)), of(1_048_576, None)], [60, 64]);
    }

    #[tokio::test(start_paused = true)]
    async fn an_upload_that_makes_progress_is_never_aborted() {
        let progress = UploadProgress::new(1000);
        let stalled = tokio::spawn({
            let progress = progress.clone();
            async move { progress.wait_until_stalled(Timeouts::seconds(30)).await }
        });
        for _ in 0..500 {
            tokio::time::sleep(Duration::from_secs(25)).await;
            progress.add_written(1);
        }
        assert!(!stalled.is_finished() && progress.is_incomplete());
        stalled.await.unwrap();
    }
}
