//! Reads a request's body into memory, with a limit on its size and on its time.

use super::body_error::BodyError;
use super::memory_budget::{MemoryBudget, Reservation, SMALL_BODY};
use crate::active_timer::ActiveTimer;
use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::body::{Body as _, Incoming};
use hyper::http::request::Parts;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;

/// The time that any body may take. Seconds.
const BASE_SECONDS: u64 = 30;
/// A body may take one more second for each so many bytes. A slow client can finish, but a client that sends single
/// bytes cannot hold the connection for ever.
const BYTES_PER_EXTRA_SECOND: usize = 8 * 1024;
/// The least memory of a body whose bytes do not arrive at once, unless it is announced to be smaller. Bytes.
const MIN_CAPACITY: usize = 16 * 1024;
/// The chunks that a body may have whatever its size is, and the bytes for each further one. A chunk of one byte costs
/// as much work as one of some kilobytes, and other clients are not answered meanwhile.
const FREE_CHUNKS: usize = 4096;
const BYTES_PER_CHUNK: usize = 32;
/// How long the rest of a refused body is read and discarded. Seconds. Without this the client may see a connection
/// reset instead of the response.
const DISCARD_SECONDS: u64 = 5;

/// A body, and the memory that is reserved for it until it is queued or refused.
pub(crate) struct ReceivedBody<'a> {
    pub(crate) bytes: Vec<u8>,
    pub(crate) reservation: Reservation<'a>,
}

/// Reads a body of at most `limit` bytes into one allocation, which grows with the bytes that arrive.
pub(crate) async fn collect<'a>(
    head: &Parts,
    body: &mut Incoming,
    limit: usize,
    memory: &'a MemoryBudget,
) -> Result<ReceivedBody<'a>, BodyError> {
    let length = body.size_hint().exact().map(|length| usize::try_from(length).unwrap_or(usize::MAX));
    if length.is_some_and(|length| length > limit) {
        return Err(BodyError::TooLarge);
    }
    let most = length.unwrap_or(limit);
    let mut reservation = memory.begin(most, length.is_some());
    let mut bytes = Vec::new();
    let mut timer = None;
    let mut extra_seconds = 0;
    let mut chunks = 0;
    loop {
        // Most bodies are there with their head. They need no timer, and no others have to know of them.
        let frame = match poll_fn(|context| Poll::Ready(Pin::new(&mut *body).poll_frame(context))).await {
            Poll::Ready(frame) => frame,
            Poll::Pending => {
                let timer = timer.get_or_insert_with(|| ActiveTimer::new(BASE_SECONDS));
                if !reservation.is_registered() {
                    reservation.register(size_of_head(head))?;
                    reservation.grow(bytes.capacity(), bytes.len()).await?;
                }
                tokio::select! {
                    biased;
                    frame = timer.wait(body.frame()) => frame.ok_or(BodyError::Slow)?,
                    () = reservation.given_up() => return Err(BodyError::Slow),
                }
            }
        };
        let Some(frame) = frame else { break };
        let Ok(data) = frame.map_err(|_| BodyError::Broken)?.into_data() else { continue };
        let total = bytes.len() + data.len();
        chunks += 1;
        if has_too_many(chunks, total) {
            return Err(BodyError::Fragmented);
        }
        if total > limit {
            return Err(BodyError::TooLarge);
        }
        if total > SMALL_BODY && !reservation.is_registered() {
            reservation.register(size_of_head(head))?;
        }
        if reservation.is_registered() {
            let capacity = bytes.capacity().max(bytes.len() + spare(&bytes, data.len(), most));
            reservation.grow(capacity, total).await?;
        }
        append(&mut bytes, &data, most)?;
        if let Some(timer) = &mut timer {
            timer.extend((total / BYTES_PER_EXTRA_SECOND - extra_seconds) as u64);
        }
        extra_seconds = total / BYTES_PER_EXTRA_SECOND;
    }
    bytes.shrink_to_fit();
    Ok(ReceivedBody { bytes, reservation })
}

/// Whether so few bytes came in too many chunks.
fn has_too_many(chunks: usize, bytes: usize) -> bool {
    chunks > FREE_CHUNKS + bytes / BYTES_PER_CHUNK
}

/// The memory that a head takes, which is mostly that of its long headers.
fn size_of_head(head: &Parts) -> usize {
    let path = head.uri.path_and_query().map_or(0, |path| path.as_str().len());
    path + head.headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum::<usize>()
}

/// Appends a block to bytes that may grow to `most`. Fails where the system has no memory, which must not end the
/// process.
pub(in crate::gateway) fn append(bytes: &mut Vec<u8>, block: &[u8], most: usize) -> Result<(), BodyError> {
    bytes.try_reserve_exact(spare(bytes, block.len(), most)).map_err(|_| BodyError::NoMemory)?;
    bytes.extend_from_slice(block);
    Ok(())
}

/// The spare capacity that bytes get before a block of this length is appended. It doubles the capacity, but never goes
/// beyond the most.
fn spare(bytes: &Vec<u8>, block: usize, most: usize) -> usize {
    if block <= bytes.capacity() - bytes.len() {
        return block;
    }
    block.max(bytes.len()).max(MIN_CAPACITY).min(most.saturating_sub(bytes.len())).max(block)
}

/// Reads and discards the rest of a body, for a few seconds at most.
pub(in crate::gateway) async fn discard(body: &mut Incoming) {
    let reading = async {
        let (mut chunks, mut bytes) = (0, 0);
        while let Some(Ok(frame)) = body.frame().await
            && !has_too_many(chunks, bytes)
        {
            chunks += 1;
            bytes += frame.data_ref().map_or(0, Bytes::len);
        }
    };
    let _ = ActiveTimer::new(DISCARD_SECONDS).wait(reading).await;
}
