//! Decodes brotli (RFC 7932). Python's SDK uses it wherever the function has the package for it.
//!
//! The body is in memory as a whole, and few bodies are large. So this decoder is small rather than fast: the one of
//! the crate would take 50 KB of the binary. Its dictionary, which the format needs, is used.

#![expect(
    clippy::cast_possible_truncation,
    reason = "it was read from few bits, or is a symbol of a small alphabet"
)]

mod bits;
mod blocks;
mod contexts;
mod prefix_code;
mod window;

use super::decoder_output::{Output, Stop};
use bits::Bits;
use blocks::Blocks;
use brotli_decompressor::dictionary::{
    kBrotliDictionary, kBrotliDictionaryOffsetsByLength, kBrotliDictionarySizeBitsByLength,
};
use brotli_decompressor::transform::{TransformDictionaryWord, kNumTransforms};
use contexts::{Contexts, literal_context};
use prefix_code::PrefixCode;
use window::Window;

const INVALID: Stop = Stop::Corrupt("invalid brotli data");
const EARLY_END: Stop = Stop::Corrupt("the compressed data ends early");

/// The number of symbols of some codes.
const LITERALS: usize = 256;
const COMMANDS: usize = 704;
/// The symbols for distances that were used before.
const USED_DISTANCES: usize = 16;
/// The literals whose context is told by the two bytes before.
const LITERAL_CONTEXTS: usize = 64;
const DISTANCE_CONTEXTS: usize = 4;
/// So many codes, or types that have codes, cost the time of a block.
const CODES_PER_BLOCK: usize = 4;
/// The longest word of the dictionary with what can be put around it. Bytes.
const LONGEST_WORD: usize = 64;

/// How many bits follow the code of a number. Each code stands for the numbers behind those of the code before.
const INSERT_BITS: [u8; 24] = [0, 0, 0, 0, 0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 7, 8, 9, 10, 12, 14, 24];
const COPY_BITS: [u8; 24] = [0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 7, 8, 9, 10, 24];
/// The first codes for the literals to insert and the bytes to copy, by the upper bits of a command.
const CELLS: [(usize, usize); 11] =
    [(0, 0), (0, 8), (0, 0), (0, 8), (8, 0), (8, 8), (0, 16), (16, 0), (8, 16), (16, 8), (16, 16)];
/// The commands below this one use the latest distance again.
const FIRST_WITH_DISTANCE: usize = 128;

/// Decodes a body.
pub(super) fn brotli(body: &[u8], output: &mut Output<'_>) -> Result<(), Stop> {
    let mut bits = Bits::new(body);
    let size = 1 << window_bits(&mut bits)?;
    let mut decoder = Decoder { window: Window::new(size, output), size, distances: [4, 11, 15, 16] };
    loop {
        let is_last = bits.flag()?;
        if is_last && bits.flag()? {
            break;
        }
        decoder.window.count_block()?;
        decoder.meta_block(&mut bits, is_last)?;
        if is_last {
            break;
        }
    }
    // The rest of the last byte has to be zero.
    bits.bytes(0)?;
    if !bits.is_empty() {
        return Err(INVALID);
    }
    decoder.window.flush()
}

fn window_bits(bits: &mut Bits<'_>) -> Result<usize, Stop> {
    if !bits.flag()? {
        return Ok(16);
    }
    match bits.number(3)? {
        0 => match bits.number(3)? {
            0 => Ok(17),
            // It stands for a later version of the format.
            1 => Err(INVALID),
            more => Ok(8 + more),
        },
        more => Ok(17 + more),
    }
}

/// Reads a number whose code was read.
fn number(bits: &mut Bits<'_>, code: usize, first: usize, widths: &[u8]) -> Result<usize, Stop> {
    let width = *widths.get(code).ok_or(INVALID)?;
    let below: usize = widths.iter().take(code).map(|width| 1 << width).sum();
    Ok(first + below + bits.number(width.into())?)
}

struct Decoder<'a, 'b> {
    window: Window<'a, 'b>,
    size: usize,
    /// The distances that were used last, the latest first.
    distances: [usize; 4],
}

impl Decoder<'_, '_> {
    fn meta_block(&mut self, bits: &mut Bits<'_>, is_last: bool) -> Result<(), Stop> {
        let nibbles = bits.number(2)?;
        if nibbles == 3 {
            return skip_metadata(bits);
        }
        let nibbles = nibbles as u32 + 4;
        let length = bits.number(4 * nibbles)?;
        if nibbles > 4 && length >> (4 * (nibbles - 1)) == 0 {
            return Err(INVALID);
        }
        let end = self.window.written() + length + 1;
        if !is_last && bits.flag()? {
            for byte in bits.bytes(length + 1)?.parts().into_iter().flatten() {
                self.window.push(*byte)?;
            }
            return Ok(());
        }
        self.compressed(bits, end)
    }

    fn compressed(&mut self, bits: &mut Bits<'_>, end: usize) -> Result<(), Stop> {
        let [mut of_literals, mut of_commands, mut of_distances] =
            [Blocks::read(bits)?, Blocks::read(bits)?, Blocks::read(bits)?];
        let postfix = bits.number(2)?;
        let direct = bits.number(4)? << postfix;
        let modes = (0..of_literals.types).map(|_| bits.number(2)).collect::<Result<Vec<_>, _>>()?;
        let literals = Contexts::read(bits, of_literals.types * LITERAL_CONTEXTS)?;
        let distances = Contexts::read(bits, of_distances.types * DISTANCE_CONTEXTS)?;
        let literals = Contexts::with_codes(literals, bits, LITERALS)?;
        let commands = (0..of_commands.types).map(|_| PrefixCode::read(bits, COMMANDS));
        let commands = commands.collect::<Result<Vec<_>, _>>()?;
        let distances = Contexts::with_codes(distances, bits, USED_DISTANCES + direct + (48 << postfix))?;
        // The codes of a block may cost more than what they decode.
        let types = of_literals.types + of_commands.types + of_distances.types;
        for _ in 0..(types + literals.codes() + distances.codes()) / CODES_PER_BLOCK {
            self.window.count_block()?;
        }
        while self.window.written() < end {
            let code = commands.get(of_commands.next(bits)?).ok_or(INVALID)?;
            let command = code.symbol(bits)?;
            let (insert, copy) = CELLS.get(command >> 6).ok_or(INVALID)?;
            let insert = number(bits, insert + (command >> 3 & 7), 0, &INSERT_BITS)?;
            let copy = number(bits, copy + (command & 7), 2, &COPY_BITS)?;
            if insert > end - self.window.written() {
                return Err(INVALID);
            }
            for _ in 0..insert {
                let block = of_literals.next(bits)?;
                let mode = modes.get(block).copied().unwrap_or_default();
                let context = literal_context(mode, self.window.back(1), self.window.back(2));
                let literal = literals.symbol(bits, block * LITERAL_CONTEXTS + context)?;
                self.window.push(literal as u8)?;
            }
            if self.window.written() == end {
                break;
            }
            let distance = if command < FIRST_WITH_DISTANCE {
                0
            } else {
                let context = of_distances.next(bits)? * DISTANCE_CONTEXTS + copy.min(5) - 2;
                distances.symbol(bits, context)?
            };
            self.copy(self.distance(bits, distance, postfix, direct)?, copy, distance == 0, end)?;
        }
        Ok(())
    }

    /// Reads the rest of a distance.
    fn distance(
        &self,
        bits: &mut Bits<'_>,
        code: usize,
        postfix: usize,
        direct: usize,
    ) -> Result<usize, Stop> {
        let used = |index: usize| self.distances.get(index).copied().unwrap_or_default();
        match code {
            0..4 => return Ok(used(code)),
            4..USED_DISTANCES => {
                let (used, step) = (used(usize::from(code >= 10)), (code - 4) % 6 / 2 + 1);
                let changed = if code.is_multiple_of(2) { used.checked_sub(step) } else { Some(used + step) };
                return changed.ok_or(INVALID);
            }
            _ => {}
        }
        let code = code - USED_DISTANCES;
        let Some(code) = code.checked_sub(direct) else { return Ok(code + 1) };
        let (upper, lower) = (code >> postfix, code & ((1 << postfix) - 1));
        let width = 1 + (upper >> 1);
        let offset = ((2 + (upper & 1)) << width) - 4;
        Ok(((offset + bits.number(width as u32)?) << postfix) + lower + direct + 1)
    }

    /// Copies bytes that were decoded before, or a word of the dictionary, which is what a greater distance means.
    fn copy(&mut self, distance: usize, length: usize, is_latest: bool, end: usize) -> Result<(), Stop> {
        let longest = self.window.written().min(self.size - 16);
        if let Some(word) = distance.checked_sub(longest + 1) {
            self.copy_word(word, length)?;
        } else {
            self.window.repeat(distance, length)?;
            if !is_latest {
                let [first, second, third, _] = self.distances;
                self.distances = [distance, first, second, third];
            }
        }
        if self.window.written() > end { Err(INVALID) } else { Ok(()) }
    }

    fn copy_word(&mut self, word: usize, length: usize) -> Result<(), Stop> {
        let width = kBrotliDictionarySizeBitsByLength.get(length).copied().filter(|width| *width > 0);
        let (width, offset) = width.zip(kBrotliDictionaryOffsetsByLength.get(length)).ok_or(INVALID)?;
        let (index, transform) = (word & ((1 << width) - 1), word >> width);
        let start = *offset as usize + index * length;
        let word = kBrotliDictionary.get(start..start + length).ok_or(INVALID)?;
        let transform = i32::try_from(transform).ok().filter(|transform| *transform < kNumTransforms);
        let mut changed = [0; LONGEST_WORD];
        let length = i32::try_from(length).map_err(|_| INVALID)?;
        let length = TransformDictionaryWord(&mut changed, word, length, transform.ok_or(INVALID)?);
        for byte in changed.iter().take(usize::try_from(length).unwrap_or_default()) {
            self.window.push(*byte)?;
        }
        Ok(())
    }
}

fn skip_metadata(bits: &mut Bits<'_>) -> Result<(), Stop> {
    let is_reserved = bits.flag()?;
    let bytes = bits.number(2)? as u32;
    let length = bits.number(8 * bytes)?;
    if is_reserved || (bytes > 1 && length >> (8 * (bytes - 1)) == 0) {
        return Err(INVALID);
    }
    bits.bytes(if bytes > 0 { length + 1 } else { 0 }).map(drop)
}

#[cfg(test)]
mod tests;
