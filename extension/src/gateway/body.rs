//! Taking a request's body in: once, bounded in bytes and in patience.

use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::body::{Body as _, Incoming};
use std::time::Duration;
use tokio::time::timeout;

/// A client that sends nothing for so long has gone.
const STALL: Duration = Duration::from_secs(30);
/// How long a body that is too large is read over, so that the client sees the answer and no reset.
const READ_OVER: Duration = Duration::from_secs(5);

/// Why there is no body.
pub(super) enum BodyError {
    TooLarge,
    /// The client went away or stalled: there may be nobody to answer.
    Broken,
}

/// Reads a body of at most `limit` bytes into one piece of memory.
pub(super) async fn collect(mut body: Incoming, limit: usize) -> Result<Bytes, BodyError> {
    let announced = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    if announced > limit {
        read_over(body).await;
        return Err(BodyError::TooLarge);
    }
    let mut taken = Vec::with_capacity(announced);
    while let Some(frame) = timeout(STALL, body.frame()).await.map_err(|_| BodyError::Broken)? {
        let Ok(data) = frame.map_err(|_| BodyError::Broken)?.into_data() else { continue };
        if taken.len() + data.len() > limit {
            drop(taken);
            read_over(body).await;
            return Err(BodyError::TooLarge);
        }
        taken.extend_from_slice(&data);
    }
    taken.shrink_to_fit();
    Ok(taken.into())
}

async fn read_over(mut body: Incoming) {
    let _ = timeout(READ_OVER, async { while let Some(Ok(_)) = body.frame().await {} }).await;
}
