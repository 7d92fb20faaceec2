//! The latest decoded bytes, which later ones may repeat.

use super::INVALID;
use crate::protocol::decoder_output::{Output, Stop};

/// The largest piece in which decoded bytes are passed on.
const MAX_PIECE: usize = 16 * 1024;

/// A ring of bytes that grows up to its size.
pub(super) struct Window<'a, 'b> {
    ring: Vec<u8>,
    size: usize,
    /// Decoded bytes are passed on in pieces of this size.
    piece: usize,
    /// How many bytes were decoded.
    written: usize,
    passed_on: usize,
    output: &'a mut Output<'b>,
}

impl<'a, 'b> Window<'a, 'b> {
    /// `size` is a power of two.
    pub(super) fn new(size: usize, output: &'a mut Output<'b>) -> Self {
        Self { ring: Vec::new(), size, piece: size.min(MAX_PIECE), written: 0, passed_on: 0, output }
    }

    pub(super) fn written(&self) -> usize {
        self.written
    }

    pub(super) fn count_block(&mut self) -> Result<(), Stop> {
        self.output.count_block()
    }

    pub(super) fn push(&mut self, byte: u8) -> Result<(), Stop> {
        let at = self.written & (self.size - 1);
        match self.ring.get_mut(at) {
            Some(place) => *place = byte,
            // The ring is not full: `at` is its length.
            None => self.ring.push(byte),
        }
        self.written += 1;
        if self.written - self.passed_on == self.piece { self.flush() } else { Ok(()) }
    }

    /// Returns the byte at a distance, or zero where there is none.
    pub(super) fn back(&self, distance: usize) -> u8 {
        let at = self.written.wrapping_sub(distance) & (self.size - 1);
        self.ring.get(at).copied().unwrap_or_default()
    }

    /// Repeats bytes.
    pub(super) fn repeat(&mut self, distance: usize, length: usize) -> Result<(), Stop> {
        if distance == 0 || distance > self.written.min(self.size) {
            return Err(INVALID);
        }
        for _ in 0..length {
            self.push(self.back(distance))?;
        }
        Ok(())
    }

    /// Passes on what was decoded.
    pub(super) fn flush(&mut self) -> Result<(), Stop> {
        while self.passed_on < self.written {
            let start = self.passed_on & (self.size - 1);
            let length = (self.written - self.passed_on).min(self.size - start);
            self.output.put(self.ring.get(start..start + length).unwrap_or_default())?;
            self.passed_on += length;
        }
        Ok(())
    }
}
