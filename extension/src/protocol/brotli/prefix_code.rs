//! Prefix codes: each symbol has a code of up to 15 bits, and more frequent ones have a shorter one.

use super::INVALID;
use super::bits::Bits;
use crate::protocol::decoder_output::Stop;

/// The longest code, in bits.
const LONGEST: usize = 15;
/// A code that is complete takes this much, by the length of its parts.
const WHOLE: usize = 1 << LONGEST;
/// The order in which the lengths of the codes for lengths are written.
const ORDER: [usize; 18] = [1, 2, 3, 4, 0, 5, 17, 6, 16, 7, 8, 9, 10, 11, 12, 13, 14, 15];
/// Those lengths by the next four bits, and how many of the bits say so.
const LENGTHS: [(u8, u32); 16] = {
    let (a, b) = ([(0, 2), (4, 2), (3, 2), (2, 3)], [(0, 2), (4, 2), (3, 2)]);
    [a[0], a[1], a[2], a[3], b[0], b[1], b[2], (1, 4), a[0], a[1], a[2], a[3], b[0], b[1], b[2], (5, 4)]
};

/// A prefix code in its canonical form.
pub(super) struct PrefixCode {
    /// How many symbols have a code of each length.
    counts: [u16; LONGEST + 1],
    /// All symbols by their codes. A single one has no code, because nothing has to be told.
    symbols: Vec<u16>,
}

impl PrefixCode {
    /// Makes the code from the length of each symbol's code. 0 stands for a symbol that does not occur.
    fn of_lengths(lengths: &[u8]) -> Self {
        let mut symbols: Vec<u16> = (0..).zip(lengths).filter(|(_, of)| **of > 0).map(|(s, _)| s).collect();
        let length = |symbol: &u16| lengths.get(usize::from(*symbol)).copied().unwrap_or_default();
        let mut counts = [0; LONGEST + 1];
        for symbol in &symbols {
            if let Some(count) = counts.get_mut(usize::from(length(symbol))) {
                *count += 1;
            }
        }
        symbols.sort_by_key(length);
        Self { counts, symbols }
    }

    fn single(symbol: u16) -> Self {
        Self { counts: [0; LONGEST + 1], symbols: vec![symbol] }
    }

    /// Reads a code for the symbols below `alphabet`.
    pub(super) fn read(bits: &mut Bits<'_>, alphabet: usize) -> Result<Self, Stop> {
        match bits.number(2)? {
            1 => Self::read_simple(bits, alphabet),
            skipped => Self::read_complex(bits, alphabet, skipped),
        }
    }

    /// Up to four symbols are listed.
    fn read_simple(bits: &mut Bits<'_>, alphabet: usize) -> Result<Self, Stop> {
        let count = bits.number(2)? + 1;
        let width = usize::BITS - (alphabet - 1).leading_zeros();
        let mut symbols = [0; 4];
        for symbol in symbols.iter_mut().take(count) {
            *symbol = bits.number(width)?;
        }
        let symbols = symbols.get(..count).unwrap_or_default();
        let lengths: &[u8] = match symbols {
            [symbol] if *symbol < alphabet => return Ok(Self::single(*symbol as u16)),
            [_, _] => &[1, 1],
            [_, _, _] => &[1, 2, 2],
            [_, _, _, _] if bits.flag()? => &[1, 2, 3, 3],
            _ => &[2, 2, 2, 2],
        };
        let mut all = vec![0; alphabet];
        for (symbol, length) in symbols.iter().zip(lengths) {
            match all.get_mut(*symbol) {
                Some(place @ 0) => *place = *length,
                _ => return Err(INVALID),
            }
        }
        Ok(Self::of_lengths(&all))
    }

    /// The length of each symbol's code is written with a code of its own.
    fn read_complex(bits: &mut Bits<'_>, alphabet: usize, skipped: usize) -> Result<Self, Stop> {
        let (mut lengths, mut missing, mut last) = ([0; ORDER.len()], 32, None);
        for symbol in ORDER.iter().skip(skipped) {
            let (length, width) = LENGTHS.get(bits.peek() as usize & 15).copied().unwrap_or_default();
            bits.skip(width)?;
            if length > 0
                && let Some(place) = lengths.get_mut(*symbol)
            {
                *place = length;
                missing -= 32 >> length;
                last = if last.is_none() { Some(*symbol as u16) } else { Some(u16::MAX) };
            }
            if missing <= 0 {
                break;
            }
        }
        let code = match last {
            Some(symbol) if symbol != u16::MAX => Self::single(symbol),
            Some(_) if missing == 0 => Self::of_lengths(&lengths),
            _ => return Err(INVALID),
        };
        Self::read_lengths(bits, alphabet, &code)
    }

    fn read_lengths(bits: &mut Bits<'_>, alphabet: usize, code: &Self) -> Result<Self, Stop> {
        let mut lengths: Vec<u8> = Vec::new();
        let (mut missing, mut previous) = (WHOLE, 8);
        // What is repeated by the symbol before, and how often so far.
        let mut repeated: Option<(u8, usize)> = None;
        while lengths.len() < alphabet && missing > 0 {
            let symbol = code.symbol(bits)?;
            let (length, count) = if symbol < 16 {
                repeated = None;
                (symbol as u8, 1)
            } else {
                let (length, width) = if symbol == 16 { (previous, 2) } else { (0, 3) };
                let before = repeated.filter(|(of, _)| *of == length).map_or(0, |(_, count)| count);
                // A second such symbol multiplies what the first one has said.
                let base = if before > 0 { (before - 2) << width } else { 0 };
                let count = base + bits.number(width)? + 3;
                repeated = Some((length, count));
                (length, count - before)
            };
            if lengths.len() + count > alphabet {
                return Err(INVALID);
            }
            lengths.resize(lengths.len() + count, length);
            if length > 0 {
                previous = length;
                missing = missing.checked_sub(count * (WHOLE >> length)).ok_or(INVALID)?;
            }
        }
        if missing > 0 {
            return Err(INVALID);
        }
        Ok(Self::of_lengths(&lengths))
    }

    /// Reads a symbol.
    pub(super) fn symbol(&self, bits: &mut Bits<'_>) -> Result<usize, Stop> {
        if let [single] = *self.symbols {
            return Ok(single.into());
        }
        let ahead = bits.peek();
        // The first code of the length, and the place of its symbol.
        let (mut code, mut first, mut place) = (0, 0, 0);
        for (length, count) in (0..).zip(self.counts).skip(1) {
            let count = usize::from(count);
            code = code << 1 | (ahead >> (length - 1) & 1) as usize;
            first <<= 1;
            if code < first + count {
                bits.skip(length)?;
                let symbol = self.symbols.get(place + code - first);
                return symbol.map(|symbol| usize::from(*symbol)).ok_or(INVALID);
            }
            (first, place) = (first + count, place + count);
        }
        Err(INVALID)
    }
}
