//! Sends a request over a connection, and tells how far the upload of its body has come.

use super::connect::Connection;
use super::meter::Meter;
use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::{Request, Response};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// A body of this size fits into the socket's buffer, so its upload shows no progress. Bytes.
const SMALL_BODY: usize = 64 * 1024;
/// The slowest line behind a proxy that an upload is given time for, in bytes a second.
const SLOWEST_LINE: usize = 512 * 1024;

/// The upload of a request's body, whose progress gives it more time.
pub(super) struct Upload {
    bytes: usize,
    /// The meter of the connection that the request was sent on last.
    meter: Mutex<Option<Arc<Meter>>>,
}

impl Upload {
    pub(super) fn of(body: &Bytes) -> Self {
        Self { bytes: body.len(), meter: Mutex::default() }
    }

    fn begin(&self, meter: &Arc<Meter>) {
        meter.request();
        *self.meter.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(meter));
    }

    /// Returns the bytes that were sent, and how long to wait for more of them, or for the response if all were sent.
    /// It is `None` for a small body, which is sent in one go.
    pub(super) fn progress(&self, limit: Duration) -> Option<(usize, Duration)> {
        if self.bytes <= SMALL_BODY {
            return None;
        }
        let meter = self.meter.lock().unwrap_or_else(PoisonError::into_inner);
        let sent = meter.as_ref()?.sent();
        // A proxy takes the body faster than it can pass it on, and answers only after that.
        let passed_on = Duration::from_secs((self.bytes / SLOWEST_LINE) as u64);
        Some((sent, if sent < self.bytes { limit } else { limit.saturating_add(passed_on) }))
    }
}

/// Sends one request over one connection. It counts as unanswered until the response arrives, because the caller's
/// timeout may stop this function at any moment.
pub(super) async fn send_over(
    mut connection: Connection,
    request: Request<Full<Bytes>>,
    upload: &Upload,
    unanswered: &AtomicU8,
) -> hyper::Result<(Response<Incoming>, Connection)> {
    let Connection { sender, meter } = &mut connection;
    sender.ready().await?;
    upload.begin(meter);
    unanswered.fetch_add(1, Ordering::Relaxed);
    let answered = || unanswered.fetch_sub(1, Ordering::Relaxed);
    match sender.try_send_request(request).await {
        Ok(response) => {
            answered();
            meter.response();
            Ok((response, connection))
        }
        Err(mut error) => {
            if error.take_message().is_some() {
                // The request was not sent.
                answered();
            }
            Err(error.into_error())
        }
    }
}
