//! Taking a request's body in: once, bounded in bytes and in patience.

use super::active_timer::ActiveTimer;
use super::memory_budget::{MemoryBudget, Reservation, SMALL};
use http_body_util::BodyExt as _;
use hyper::body::{Body as _, Incoming};

/// Seconds that any body may take.
const GRACE: u64 = 30;
/// So many bytes earn one more second: who trickles has an end, who is slow gets through.
const RATE: usize = 8 * 1024;
/// How long a body that nobody wants is read over, seconds, so that the client sees the answer and no reset.
const READ_OVER: u64 = 5;

/// Why there is no body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::gateway) enum BodyError {
    TooLarge,
    /// The client went away in the middle: there may be nobody to answer.
    Broken,
    /// It came too slowly.
    Slow,
    /// There was no room for it for a long time.
    NoRoom,
}

/// A body, and the room it takes until it is queued or refused.
pub(in crate::gateway) struct ReceivedBody<'a> {
    pub(in crate::gateway) bytes: Vec<u8>,
    pub(in crate::gateway) reservation: Reservation<'a>,
}

/// Reads a body of at most `limit` bytes into one piece of memory.
pub(in crate::gateway) async fn collect<'a>(
    body: &mut Incoming,
    limit: usize,
    memory: &'a MemoryBudget,
) -> Result<ReceivedBody<'a>, BodyError> {
    let length = body.size_hint().exact().map(|length| usize::try_from(length).unwrap_or(usize::MAX));
    if length.is_some_and(|length| length > limit) {
        return Err(BodyError::TooLarge);
    }
    let mut reservation = memory.take(length).await.ok_or(BodyError::NoRoom)?;
    let mut grown = length.is_some();
    let mut bytes = Vec::with_capacity(length.unwrap_or(0));
    let mut timer = ActiveTimer::new(GRACE);
    let mut earned = 0;
    while let Some(frame) = timer.wait(body.frame()).await.ok_or(BodyError::Slow)? {
        let Ok(data) = frame.map_err(|_| BodyError::Broken)?.into_data() else { continue };
        let total = bytes.len() + data.len();
        if total > limit {
            return Err(BodyError::TooLarge);
        }
        if total > SMALL && !grown {
            memory.grow(&mut reservation, limit).await.ok_or(BodyError::NoRoom)?;
            grown = true;
        }
        if total > bytes.capacity() {
            // Doubles, but never beyond what there is room for.
            bytes.reserve_exact(data.len().max(bytes.len()).max(4096).min(limit - bytes.len()));
        }
        bytes.extend_from_slice(&data);
        timer.extend((total / RATE - earned) as u64);
        earned = total / RATE;
    }
    bytes.shrink_to_fit();
    Ok(ReceivedBody { bytes, reservation })
}

/// Reads to the end, and keeps nothing.
pub(in crate::gateway) async fn read_over(body: &mut Incoming) {
    let reading = async { while let Some(Ok(_)) = body.frame().await {} };
    let _ = ActiveTimer::new(READ_OVER).wait(reading).await;
}
