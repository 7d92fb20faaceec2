//! The checksum of gzip. Its tables are computed at the first use: linked in, they would take 16 KB that do not
//! compress, in every download of the layer.

use std::sync::OnceLock;

/// The generator polynomial, with its bits reversed.
const POLYNOMIAL: u32 = 0xedb8_8320;

/// For each value of a byte, what it changes if so many bytes follow it in a block of eight.
type Tables = [[u32; 256]; 8];

/// Returns the checksum of these bytes.
pub(crate) fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = Crc32::new();
    crc.update(bytes);
    crc.finish()
}

/// The checksum of the bytes so far.
pub(super) struct Crc32 {
    tables: &'static Tables,
    state: u32,
}

impl Crc32 {
    pub(super) fn new() -> Self {
        static TABLES: OnceLock<Box<Tables>> = OnceLock::new();
        Self { tables: TABLES.get_or_init(tables), state: !0 }
    }

    // Each index is a byte, and each table has an entry for each byte.
    #[expect(clippy::indexing_slicing)]
    pub(super) fn update(&mut self, bytes: &[u8]) {
        let [t0, t1, t2, t3, t4, t5, t6, t7] = self.tables;
        let of = |table: &[u32; 256], byte: u8| table[usize::from(byte)];
        let (blocks, rest) = bytes.as_chunks();
        let mut state = self.state;
        for [a, b, c, d, e, f, g, h] in blocks {
            let [a, b, c, d] = (state ^ u32::from_le_bytes([*a, *b, *c, *d])).to_le_bytes();
            let first = of(t7, a) ^ of(t6, b) ^ of(t5, c) ^ of(t4, d);
            state = first ^ of(t3, *e) ^ of(t2, *f) ^ of(t1, *g) ^ of(t0, *h);
        }
        for byte in rest {
            state = (state >> 8) ^ of(t0, state.to_le_bytes()[0] ^ byte);
        }
        self.state = state;
    }

    pub(super) fn finish(&self) -> u32 {
        !self.state
    }
}

fn tables() -> Box<Tables> {
    let mut tables = Box::new([[0; 256]; 8]);
    for byte in 0..=u8::MAX {
        let mut state = u32::from(byte);
        // The first table divides by the polynomial bit by bit, and each further one adds a byte of zeros.
        for table in tables.iter_mut() {
            for _ in 0..8 {
                state = (state >> 1) ^ if state & 1 == 1 { POLYNOMIAL } else { 0 };
            }
            if let Some(entry) = table.get_mut(usize::from(byte)) {
                *entry = state;
            }
        }
    }
    tables
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checksum(parts: &[&[u8]]) -> u32 {
        let mut crc = Crc32::new();
        for part in parts {
            crc.update(part);
        }
        crc.finish()
    }

    #[test]
    fn the_check_values_of_the_catalogue() {
        assert_eq!(checksum(&[b"123456789"]), 0xcbf4_3926);
        assert_eq!(checksum(&[]), 0);
        assert_eq!(checksum(&[&[0; 32]]), 0x190a_55ad);
        assert_eq!(checksum(&[&[0xff; 32]]), 0xff6c_ab0b);
    }

    #[test]
    fn it_does_not_matter_how_the_bytes_are_divided() {
        let bytes: Vec<u8> = (0..1000_u32).map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes()[0]).collect();
        let whole = checksum(&[&bytes]);
        for at in 0..40 {
            let (start, end) = bytes.split_at(at);
            assert_eq!(checksum(&[start, end]), whole, "{at}");
        }
        assert_eq!(checksum(&bytes.iter().map(std::slice::from_ref).collect::<Vec<_>>()), whole);
    }
}
