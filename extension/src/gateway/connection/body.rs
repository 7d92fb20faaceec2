//! Reads a request's body into memory, with a limit on its size and on its time.

use super::memory_budget::{MemoryBudget, Reservation, SMALL_BODY};
use crate::active_timer::ActiveTimer;
use http_body_util::BodyExt as _;
use hyper::body::{Body as _, Incoming};

/// The time that any body may take. Seconds.
const BASE_SECONDS: u64 = 30;
/// A body may take one more second for each so many bytes. A slow client can finish, but a client that sends single
/// bytes cannot hold the connection for ever.
const BYTES_PER_EXTRA_SECOND: usize = 8 * 1024;
/// How long the rest of a refused body is read and discarded. Seconds. Without this the client may see a connection
/// reset instead of the response.
const DISCARD_SECONDS: u64 = 5;

/// Why a body was not read to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::gateway) enum BodyError {
    TooLarge,
    /// The client closed the connection in the middle, or its chunks are malformed. It may not read the response.
    Broken,
    /// The client sent it too slowly.
    Slow,
    /// Other bodies held the memory for too long.
    NoMemory,
}

/// A body, and the memory that is reserved for it until it is queued or refused.
pub(in crate::gateway) struct ReceivedBody<'a> {
    pub(in crate::gateway) bytes: Vec<u8>,
    pub(in crate::gateway) reservation: Reservation<'a>,
}

/// Reads a body of at most `limit` bytes into one allocation.
pub(in crate::gateway) async fn collect<'a>(
    body: &mut Incoming,
    limit: usize,
    memory: &'a MemoryBudget,
) -> Result<ReceivedBody<'a>, BodyError> {
    let length = body.size_hint().exact().map(|length| usize::try_from(length).unwrap_or(usize::MAX));
    if length.is_some_and(|length| length > limit) {
        return Err(BodyError::TooLarge);
    }
    let mut reservation = memory.reserve(length).await.ok_or(BodyError::NoMemory)?;
    let mut is_fully_reserved = length.is_some();
    let mut bytes = Vec::with_capacity(length.unwrap_or(0));
    let mut timer = ActiveTimer::new(BASE_SECONDS);
    let mut extra_seconds = 0;
    while let Some(frame) = timer.wait(body.frame()).await.ok_or(BodyError::Slow)? {
        let Ok(data) = frame.map_err(|_| BodyError::Broken)?.into_data() else { continue };
        let total = bytes.len() + data.len();
        if total > limit {
            return Err(BodyError::TooLarge);
        }
        if total > SMALL_BODY && !is_fully_reserved {
            memory.grow(&mut reservation, limit).await.ok_or(BodyError::NoMemory)?;
            is_fully_reserved = true;
        }
        if total > bytes.capacity() {
            // Doubles the capacity, but never beyond the limit for which memory is reserved.
            bytes.reserve_exact(data.len().max(bytes.len()).max(4096).min(limit - bytes.len()));
        }
        bytes.extend_from_slice(&data);
        timer.extend((total / BYTES_PER_EXTRA_SECOND - extra_seconds) as u64);
        extra_seconds = total / BYTES_PER_EXTRA_SECOND;
    }
    bytes.shrink_to_fit();
    Ok(ReceivedBody { bytes, reservation })
}

/// Reads and discards the rest of a body, for a few seconds at most.
pub(in crate::gateway) async fn discard(body: &mut Incoming) {
    let reading = async { while let Some(Ok(_)) = body.frame().await {} };
    let _ = ActiveTimer::new(DISCARD_SECONDS).wait(reading).await;
}
