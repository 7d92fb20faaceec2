//! Reads bits from a body that is in memory as a whole, the lowest bit of each byte first.

use super::{EARLY_END, INVALID};
use crate::protocol::decoder_output::Stop;

pub(super) struct Bits<'a> {
    /// The bytes that are not in `ahead`.
    rest: &'a [u8],
    /// Bits that were taken from the bytes, and how many.
    ahead: u64,
    count: u32,
}

impl<'a> Bits<'a> {
    pub(super) fn new(body: &'a [u8]) -> Self {
        Self { rest: body, ahead: 0, count: 0 }
    }

    /// Returns the next 16 bits, and zeros behind the end.
    pub(super) fn peek(&mut self) -> u32 {
        self.fill();
        (self.ahead & 0xffff) as u32
    }

    fn fill(&mut self) {
        while self.count <= 56
            && let Some((byte, rest)) = self.rest.split_first()
        {
            self.ahead |= u64::from(*byte) << self.count;
            self.count += 8;
            self.rest = rest;
        }
    }

    /// Skips bits that `peek` has returned.
    pub(super) fn skip(&mut self, count: u32) -> Result<(), Stop> {
        self.count = self.count.checked_sub(count).ok_or(EARLY_END)?;
        self.ahead >>= count;
        Ok(())
    }

    /// Whether everything was read.
    pub(super) fn is_empty(&self) -> bool {
        self.count == 0 && self.rest.is_empty()
    }

    /// Reads a number of at most 32 bits.
    pub(super) fn number(&mut self, bits: u32) -> Result<usize, Stop> {
        self.fill();
        let number = self.ahead & ((1 << bits) - 1);
        self.skip(bits)?;
        Ok(number as usize)
    }

    pub(super) fn flag(&mut self) -> Result<bool, Stop> {
        Ok(self.number(1)? == 1)
    }

    /// Reads a number from 1 to 256.
    pub(super) fn small_count(&mut self) -> Result<usize, Stop> {
        if !self.flag()? {
            return Ok(1);
        }
        let bits = self.number(3)?;
        Ok(1 + (1 << bits) + self.number(bits as u32)?)
    }

    /// Takes whole bytes. The bits before them, up to the next byte, have to be zero.
    pub(super) fn bytes(&mut self, count: usize) -> Result<Bytes<'a>, Stop> {
        if self.number(self.count % 8)? != 0 {
            return Err(INVALID);
        }
        let mut bytes = Bytes { ahead: [0; 8], ahead_count: 0, rest: &[] };
        for place in bytes.ahead.iter_mut().take(count.min(self.count as usize / 8)) {
            *place = self.ahead as u8;
            self.skip(8)?;
            bytes.ahead_count += 1;
        }
        let (taken, rest) = self.rest.split_at_checked(count - bytes.ahead_count).ok_or(EARLY_END)?;
        (bytes.rest, self.rest) = (taken, rest);
        Ok(bytes)
    }
}

/// Whole bytes, of which the first ones were read ahead.
pub(super) struct Bytes<'a> {
    ahead: [u8; 8],
    ahead_count: usize,
    rest: &'a [u8],
}

impl Bytes<'_> {
    pub(super) fn parts(&self) -> [&[u8]; 2] {
        [self.ahead.get(..self.ahead_count).unwrap_or_default(), self.rest]
    }
}
