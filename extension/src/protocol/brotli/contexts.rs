//! Symbols have several codes. Which one is used depends on what was decoded before.

use super::INVALID;
use super::bits::Bits;
use super::prefix_code::PrefixCode;
use crate::protocol::decoder_output::Stop;

/// Which code is used in which context.
pub(super) struct Contexts {
    map: Vec<u8>,
    codes: Vec<PrefixCode>,
}

impl Contexts {
    /// Reads the map. The codes come later.
    pub(super) fn read(bits: &mut Bits<'_>, size: usize) -> Result<(Vec<u8>, usize), Stop> {
        let codes = bits.small_count()?;
        if codes == 1 {
            return Ok((vec![0; size], 1));
        }
        let runs = if bits.flag()? { bits.number(4)? + 1 } else { 0 };
        let code = PrefixCode::read(bits, codes + runs)?;
        let mut map = Vec::with_capacity(size);
        while map.len() < size {
            match code.symbol(bits)? {
                0 => map.push(0),
                run if run <= runs => {
                    let zeros = (1 << run) + bits.number(run as u32)?;
                    if map.len() + zeros > size {
                        return Err(INVALID);
                    }
                    map.resize(map.len() + zeros, 0);
                }
                value => map.push((value - runs) as u8),
            }
        }
        if bits.flag()? {
            undo_move_to_front(&mut map);
        }
        Ok((map, codes))
    }

    pub(super) fn with_codes(
        (map, codes): (Vec<u8>, usize),
        bits: &mut Bits<'_>,
        alphabet: usize,
    ) -> Result<Self, Stop> {
        let codes = (0..codes).map(|_| PrefixCode::read(bits, alphabet)).collect::<Result<_, _>>()?;
        Ok(Self { map, codes })
    }

    /// The number of codes.
    pub(super) fn codes(&self) -> usize {
        self.codes.len()
    }

    pub(super) fn symbol(&self, bits: &mut Bits<'_>, context: usize) -> Result<usize, Stop> {
        let code = self.map.get(context).and_then(|code| self.codes.get(usize::from(*code)));
        code.ok_or(INVALID)?.symbol(bits)
    }
}

fn undo_move_to_front(map: &mut [u8]) {
    let mut order: Vec<u8> = (0..=u8::MAX).collect();
    for entry in map {
        let value = order.remove(usize::from(*entry));
        order.insert(0, value);
        *entry = value;
    }
}

/// The context of a literal behind these bytes, of which the first is the nearer one.
pub(super) fn literal_context(mode: usize, one: u8, two: u8) -> usize {
    let context = match mode {
        0 => one & 0x3f,
        1 => one >> 2,
        2 => utf8_context(one) | utf8_class(two),
        _ => signed_class(one) << 3 | signed_class(two),
    };
    context.into()
}

/// What text is likely to follow.
fn utf8_context(byte: u8) -> u8 {
    match byte {
        b'\t' | b'\n' | b'\r' => 4,
        b' ' => 8,
        b'"' | b'\'' => 16,
        b'%' => 20,
        b'(' | b'<' | b'[' | b'{' => 24,
        b')' | b'>' | b']' | b'}' => 28,
        b',' | b':' | b';' => 32,
        b'.' => 36,
        b'=' => 40,
        b'0'..=b'9' => 44,
        b'A' | b'E' | b'I' | b'O' | b'U' => 48,
        b'A'..=b'Z' => 52,
        b'a' | b'e' | b'i' | b'o' | b'u' => 56,
        b'a'..=b'z' => 60,
        0..b' ' | 0x7f => 0,
        b'!'..0x7f => 12,
        0x80..0xc0 => byte & 1,
        0xc0.. => 2 | byte & 1,
    }
}

fn utf8_class(byte: u8) -> u8 {
    match byte {
        b'0'..=b'9' | b'A'..=b'Z' | 0xe0.. => 2,
        b'a'..=b'z' => 3,
        b'!'..0x7f => 1,
        _ => 0,
    }
}

fn signed_class(byte: u8) -> u8 {
    match byte {
        0 => 0,
        1..16 => 1,
        16..64 => 2,
        64..128 => 3,
        128..192 => 4,
        192..240 => 5,
        240..255 => 6,
        255 => 7,
    }
}
