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
    let body = [vec![0x0b], vec![0x06; 100_000]].concat();
    assert!(decoded(&body).is_err());
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
