//! What may go wrong while a body is received.

/// Why a body was not read to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BodyError {
    TooLarge,
    /// The client closed the connection in the middle, or its chunks are malformed. It may not read the response.
    Broken,
    /// It came in too many chunks for so little data.
    Fragmented,
    /// The client sent it too slowly.
    Slow,
    /// Other bodies held the memory for too long.
    NoMemory,
}
