//! Where all decoders put what they have decoded. It bounds the bytes, and the work that they cost.

use std::io;

/// Why decoding has stopped.
pub(super) enum Stop {
    TooLarge,
    Corrupt(&'static str),
    Invalid(io::Error),
    /// The consumer of the decoded blocks has failed.
    Consumer,
}

/// The compressed blocks that a body may have whatever its size is.
const FREE_BLOCKS: usize = 1000;
/// The decoded bytes for each further block. Encoders write much larger blocks. A client that flushes its encoder after
/// each line writes small ones.
const BYTES_PER_BLOCK: usize = 128;

/// Takes the decoded bytes, and bounds them and the work that they cost.
pub(super) struct Output<'a> {
    limit: usize,
    written: usize,
    blocks: usize,
    take: &'a mut dyn FnMut(&[u8]) -> bool,
}

impl<'a> Output<'a> {
    pub(super) fn new(limit: usize, take: &'a mut dyn FnMut(&[u8]) -> bool) -> Self {
        Self { limit, written: 0, blocks: 0, take }
    }

    pub(super) fn limit(&self) -> usize {
        self.limit
    }

    /// Passes decoded bytes on.
    pub(super) fn put(&mut self, decoded: &[u8]) -> Result<(), Stop> {
        self.written += decoded.len();
        if self.written > self.limit {
            return Err(Stop::TooLarge);
        }
        if (self.take)(decoded) { Ok(()) } else { Err(Stop::Consumer) }
    }

    /// Counts a compressed block, or anything else that costs the decoder time without giving bytes.
    pub(super) fn count_block(&mut self) -> Result<(), Stop> {
        self.blocks += 1;
        if self.blocks > FREE_BLOCKS + self.written / BYTES_PER_BLOCK {
            return Err(Stop::Corrupt("too many compressed blocks for so little data"));
        }
        Ok(())
    }

    /// Returns how many bytes were decoded so far.
    pub(super) fn written(&self) -> usize {
        self.written
    }
}
