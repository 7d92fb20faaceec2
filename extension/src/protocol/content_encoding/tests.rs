use super::*;
use std::convert::Infallible;
use std::io::Write as _;

/// `{}\n` one thousand times, compressed by the reference implementation of each encoding.
const GZIP: &[u8] = &[
    0x1f, 0x8b, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0x03, 0xed, 0xc2, 0x31, 0x0d, 0x00, 0x00, 0x0c,
    0x03, 0xa0, 0x7f, 0x96, 0x9b, 0x79, 0xaf, 0x8d, 0x1e, 0x10, 0xf2, 0x17, 0x55, 0x55, 0x75, 0x7b, 0x01,
    0x5a, 0x2c, 0x0b, 0x16, 0xb8, 0x0b, 0x00, 0x00,
];
const GZIP_HEADER: &[u8] = &[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3];
const ZLIB: &[u8] = &[
    0x78, 0xda, 0xed, 0xc2, 0x31, 0x0d, 0x00, 0x00, 0x0c, 0x03, 0xa0, 0x7f, 0x96, 0x9b, 0x79, 0xaf, 0x8d,
    0x1e, 0x10, 0xf2, 0x17, 0x55, 0x55, 0x75, 0x7b, 0x01, 0x3e, 0x12, 0xef, 0xfe,
];
const BROTLI: &[u8] =
    &[0x1b, 0xb7, 0x0b, 0xf8, 0x25, 0x15, 0xf6, 0xfa, 0xe2, 0xb3, 0x20, 0xe0, 0x6d, 0x00, 0xa0, 0x01];
const ZSTD: &[u8] = &[
    0x28, 0xb5, 0x2f, 0xfd, 0x64, 0xb8, 0x0a, 0x55, 0x00, 0x00, 0x18, 0x7b, 0x7d, 0x0a, 0x01, 0x00, 0xb2,
    0xd3, 0x77, 0x43, 0x04, 0xe3, 0xad, 0x7c,
];

const ALL: [(Encoding, &[u8]); 4] =
    [(Encoding::Gzip, GZIP), (Encoding::Deflate, ZLIB), (Encoding::Brotli, BROTLI), (Encoding::Zstd, ZSTD)];

fn decoded(encoding: Encoding, body: &[u8], limit: usize) -> Result<Vec<u8>, DecodeError<Infallible>> {
    let mut out = Vec::new();
    decode(encoding, body, limit, |block| {
        out.extend_from_slice(block);
        Ok(())
    })?;
    Ok(out)
}

#[test]
fn every_encoding_is_decoded() {
    let plain = "{}\n".repeat(1000).into_bytes();
    for (encoding, body) in ALL {
        assert_eq!(decoded(encoding, body, plain.len()).unwrap(), plain, "{encoding:?}");
    }
    assert_eq!(decoded(Encoding::Identity, &plain, plain.len()).unwrap(), plain);
    // A streaming SDK may send several gzip members or zstd frames.
    assert_eq!(decoded(Encoding::Gzip, &GZIP.repeat(2), 6000).unwrap(), plain.repeat(2));
    assert_eq!(decoded(Encoding::Zstd, &ZSTD.repeat(2), 6000).unwrap(), plain.repeat(2));
}

#[test]
fn the_limit_is_on_the_decoded_size() {
    for (encoding, body) in ALL {
        assert!(matches!(decoded(encoding, body, 2999), Err(DecodeError::TooLarge)), "{encoding:?}");
    }
    assert!(matches!(decoded(Encoding::Identity, b"{}\n", 2), Err(DecodeError::TooLarge)));
}

#[test]
fn corrupt_and_truncated_bodies_are_rejected() {
    for (encoding, body) in ALL {
        let cut = &body[..body.len() - 3];
        assert!(matches!(decoded(encoding, cut, 9999), Err(DecodeError::Corrupt(_))), "{encoding:?}");
        let noise = [0x5a; 40];
        assert!(matches!(decoded(encoding, &noise, 9999), Err(DecodeError::Corrupt(_))), "{encoding:?}");
    }
}

#[test]
fn an_error_of_the_consumer_ends_decoding() {
    for (encoding, body) in ALL {
        let mut fed = 0;
        let outcome = decode(encoding, body, 9999, |_| {
            fed += 1;
            Err("enough")
        });
        assert!(matches!(outcome, Err(DecodeError::Consumer("enough"))), "{encoding:?}");
        assert_eq!(fed, 1, "{encoding:?}");
    }
}

/// Repeats bits, given as a value and its length, until there are this many bytes.
fn repeat_bits(pattern: &[(u64, u32)], bytes: usize) -> Vec<u8> {
    let (mut out, mut bits, mut count) = (Vec::new(), 0, 0);
    while out.len() < bytes {
        for (value, length) in pattern {
            bits |= value << count;
            count += length;
            while count >= 8 {
                out.push((bits & 0xff).try_into().unwrap());
                (bits, count) = (bits >> 8, count - 8);
            }
        }
    }
    out
}

fn refusal(encoding: Encoding, body: &[u8]) -> String {
    match decoded(encoding, body, 8 << 20) {
        Err(DecodeError::Corrupt(why)) => why,
        other => panic!("{:?}", other.map(|out| out.len())),
    }
}

#[test]
fn many_blocks_without_data_are_refused_before_they_cost_time() {
    const SIZE: usize = 1 << 20;
    let wasteful = |pattern: &[(u64, u32)]| [vec![0x78, 0x9c], repeat_bits(pattern, SIZE)].concat();
    // A block with fixed codes: three bits that say so, codes, and the code for its end.
    let (fixed, literal, repeat, end) = ((0b010, 3), (0b0000_1100, 8), (0b100_0000, 12), (0, 7));
    let empty_member = [GZIP_HEADER, &[3, 0], &[0; 8]].concat();
    let empty_frame = [0x28, 0xb5, 0x2f, 0xfd, 0x20, 0, 1, 0, 0];
    let mut zstd_blocks = vec![0x28, 0xb5, 0x2f, 0xfd, 0, 0x58];
    zstd_blocks.resize(SIZE, 0);
    for (encoding, body) in [
        (Encoding::Gzip, empty_member.repeat(SIZE / empty_member.len())),
        (Encoding::Zstd, empty_frame.repeat(SIZE / empty_frame.len())),
        (Encoding::Zstd, zstd_blocks),
        (Encoding::Deflate, wasteful(&[fixed, end])),
        (Encoding::Deflate, wasteful(&[fixed, literal, end])),
        (Encoding::Deflate, wasteful(&[fixed, literal, literal, repeat, end])),
        // Stored blocks without bytes.
        (Encoding::Deflate, [&[0x78, 0x9c][..], &[0, 0, 0, 0xff, 0xff].repeat(SIZE / 5)].concat()),
    ] {
        let why = refusal(encoding, &body);
        assert!(why.contains("too many"), "{encoding:?}: {why}");
    }
}

#[test]
fn an_encoder_that_flushes_each_line_is_accepted() {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    let line = "a log line that is as short as a log line may be: 0123456789 0123456789 0123456789 0123456789 0123\n";
    let line = line.repeat(3);
    for _ in 0..10_000 {
        encoder.write_all(line.as_bytes()).unwrap();
        encoder.flush().unwrap();
    }
    let body = encoder.finish().unwrap();
    assert_eq!(decoded(Encoding::Gzip, &body, 8 << 20).unwrap().len(), 10_000 * line.len());
}

#[test]
fn gzip_headers_with_all_fields() {
    let header = [0x1f, 0x8b, 8, 0x1e, 0, 0, 0, 0, 0, 3, 2, 0, b'a', b'b', b'n', 0, b'c', b'c', 0, 1, 2];
    let body = [&header[..], &GZIP[10..]].concat();
    assert_eq!(decoded(Encoding::Gzip, &body, 3000).unwrap().len(), 3000);
    let mut wrong = GZIP.to_vec();
    let at = wrong.len() - 6;
    wrong[at] ^= 1;
    assert!(refusal(Encoding::Gzip, &wrong).contains("checksum"));
}
