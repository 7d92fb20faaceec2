//! Compares this decoder with the one of the crate. The streams are those of the reference encoder, by its qualities
//! and windows; `tests/fixtures/brotli/make.py` made them.

use super::*;
use proptest::prelude::*;
use std::io::Read as _;

macro_rules! stream {
    ($name:literal) => {
        include_bytes!(concat!("../../../tests/fixtures/brotli/", $name, ".br"))
    };
}

const STREAMS: [&[u8]; 14] = [
    stream!("event-0"),
    stream!("event-1"),
    stream!("event-5"),
    stream!("event-9"),
    stream!("event-11"),
    stream!("event-11-window-10"),
    stream!("words-11"),
    stream!("words-5-window-24"),
    stream!("noise-11"),
    stream!("noise-2"),
    stream!("zeros-11"),
    stream!("samples-11"),
    stream!("blocks-11"),
    stream!("flushed-3"),
];
/// The largest of them decodes to less.
const LIMIT: usize = 1 << 20;

fn decoded(body: &[u8]) -> Result<Vec<u8>, &'static str> {
    let mut plain = Vec::new();
    let mut take = |block: &[u8]| {
        plain.extend_from_slice(block);
        true
    };
    match brotli(body, &mut Output::new(LIMIT, &mut take)) {
        Ok(()) => Ok(plain),
        Err(Stop::Corrupt(why)) => Err(why),
        Err(Stop::TooLarge) => Err("too large"),
        Err(_) => Err("another error"),
    }
}

/// What the crate makes of a stream. `None`: it is invalid, or too large.
fn expected(body: &[u8]) -> Option<Vec<u8>> {
    let mut plain = Vec::new();
    let mut decoder = brotli_decompressor::Decompressor::new(body, 4096).take(LIMIT as u64 + 1);
    decoder.read_to_end(&mut plain).ok().filter(|length| *length <= LIMIT).map(|_| plain)
}

#[test]
fn what_the_reference_encoder_writes() {
    for (number, body) in STREAMS.into_iter().enumerate() {
        let expected = expected(body).unwrap();
        assert!(expected.len() > 100);
        assert_eq!(decoded(body).map(|plain| plain == expected), Ok(true), "stream {number}");
    }
}

#[test]
fn a_part_of_a_stream_and_more_than_a_stream_are_refused() {
    for body in STREAMS {
        assert_eq!(decoded(&body[..body.len() - 1]), Err("the compressed data ends early"));
        assert!(decoded(&[body, b"x"].concat()).is_err());
    }
    assert!(decoded(b"").is_err());
    assert_eq!(decoded(&[0x06]), Ok(vec![]), "the shortest stream");
    assert_eq!(decoded(&[0x11]).err(), Some("invalid brotli data"), "a window of a later version");
}

#[test]
fn empty_blocks_without_end_are_refused() {
    // Metadata of no bytes, which a byte says.
    let stream = |blocks| [vec![0x0c], vec![0x06; blocks], vec![0x03]].concat();
    assert_eq!(decoded(&stream(10)), Ok(vec![]));
    assert_eq!(decoded(&stream(100_000)), Err("too many compressed blocks for so little data"));
}

/// A stream that is written bit by bit, the lowest bit of a number first.
#[derive(Default)]
struct Written {
    bytes: Vec<u8>,
    bits: usize,
}

impl Written {
    fn put(&mut self, number: usize, width: u32) {
        for bit in 0..width {
            if self.bits.is_multiple_of(8) {
                self.bytes.push(0);
            }
            if number.checked_shr(bit).is_some_and(|rest| rest & 1 == 1) {
                self.bytes[self.bits / 8] |= 1 << (self.bits % 8);
            }
            self.bits += 1;
        }
    }

    /// A code of one symbol.
    fn single(&mut self, symbol: usize, width: u32) {
        self.put(1, 4);
        self.put(symbol, width);
    }

    /// A meta-block of one byte that has as many codes as there can be.
    fn block_of_codes(&mut self) {
        // It is not the last one, and its length is one byte less than these 16 bits and one.
        self.put(0, 3 + 16 + 1);
        for _ in 0..3 {
            // There are 256 types. The first block has one symbol.
            self.put(0b111_1111_1111, 11);
            self.single(0, 9);
            self.single(0, 5);
            self.put(0, 2);
        }
        // Distances are as usual, and so are the modes of all types.
        self.put(0, 6 + 2 * 256);
        for _ in [LITERAL_CONTEXTS, DISTANCE_CONTEXTS] {
            // There are 256 codes, and each place of the map names the one that was not named for the longest time.
            self.put(0b111_1111_1111, 11);
            self.put(0, 1);
            self.single(255, 8);
            self.put(1, 1);
        }
        for (symbol, width) in [(0, 8), (8, 10), (0, 6)] {
            (0..256).for_each(|_| self.single(symbol, width));
        }
    }

    fn end(mut self) -> Vec<u8> {
        self.put(0b11, 2);
        self.bytes
    }
}

#[test]
fn blocks_that_are_nothing_but_codes_are_refused() {
    let stream = |blocks: usize| {
        let mut stream = Written::default();
        stream.put(0, 1);
        (0..blocks).for_each(|_| stream.block_of_codes());
        stream.end()
    };
    assert_eq!(decoded(&stream(1)), Ok(vec![0]));
    assert_eq!(expected(&stream(1)), Some(vec![0]), "the stream is valid");
    let begun = std::time::Instant::now();
    assert_eq!(decoded(&stream(900)), Err("too many compressed blocks for so little data"));
    eprintln!("900 blocks: {:?}", begun.elapsed());
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2000) })]

    #[test]
    fn a_damaged_stream_is_read_as_by_the_crate(
        which in 0..STREAMS.len(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        early in any::<bool>(),
    ) {
        let mut body = STREAMS[which].to_vec();
        // Most of what can be odd is in the first bytes.
        let reach = if early { body.len().min(64) } else { body.len() };
        for (at, byte) in damage {
            body[at.index(reach)] = byte;
        }
        let ours = decoded(&body);
        match expected(&body) {
            Some(plain) => prop_assert!(ours.is_ok_and(|ours| ours == plain) || has_rest(&body)),
            None => prop_assert!(ours.is_err()),
        }
    }
}

/// Whether there is something behind the end of the stream, which the crate does not look at.
fn has_rest(body: &[u8]) -> bool {
    expected(&body[..body.len() - 1]).is_some()
}
