//! The blocks of a meta-block.

use super::bits::Bits;
use super::prefix_code::PrefixCode;
use super::{INVALID, number};
use crate::protocol::decoder_output::Stop;

/// The number of symbols of the code for a block's length.
const LENGTHS: usize = 26;
/// How many bits follow the code of a length.
const LENGTH_BITS: [u8; 26] =
    [2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 6, 6, 7, 8, 9, 10, 11, 12, 13, 24];

/// Symbols of one kind are divided into blocks of several types, which have codes of their own.
pub(super) struct Blocks {
    pub(super) types: usize,
    codes: Option<[PrefixCode; 2]>,
    /// How many symbols the current block has left.
    left: usize,
    current: usize,
    previous: usize,
}

impl Blocks {
    pub(super) fn read(bits: &mut Bits<'_>) -> Result<Self, Stop> {
        let types = bits.small_count()?;
        let mut blocks = Self { types, codes: None, left: 1 << 24, current: 0, previous: 1 };
        if types > 1 {
            let [of_type, of_length] = [PrefixCode::read(bits, types + 2)?, PrefixCode::read(bits, LENGTHS)?];
            let code = of_length.symbol(bits)?;
            blocks.left = number(bits, code, 1, &LENGTH_BITS)?;
            blocks.codes = Some([of_type, of_length]);
        }
        Ok(blocks)
    }

    /// Returns the type of the next symbol's block.
    pub(super) fn next(&mut self, bits: &mut Bits<'_>) -> Result<usize, Stop> {
        if self.left == 0 {
            let [of_type, of_length] = self.codes.as_ref().ok_or(INVALID)?;
            let next = match of_type.symbol(bits)? {
                0 => self.previous,
                1 if self.current + 1 < self.types => self.current + 1,
                1 => 0,
                other => other - 2,
            };
            (self.previous, self.current) = (self.current, next);
            let code = of_length.symbol(bits)?;
            self.left = number(bits, code, 1, &LENGTH_BITS)?;
        }
        self.left -= 1;
        Ok(self.current)
    }
}
