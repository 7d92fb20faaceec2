//! Decodes content encodings block by block, so that the decoded body is never in memory as a whole. The decoded bytes
//! are bounded, and so is the work: a body of a few megabytes that decodes to nothing could cost half a minute.

use super::inflate;
use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};
use std::io::{self, Read as _, Write};

/// How a body is compressed. Names are compared case-sensitively, as in Sentry's Relay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Encoding {
    Identity,
    Gzip,
    Deflate,
    Brotli,
    Zstd,
}

impl Encoding {
    /// Reads the value of `Content-Encoding`. The Ruby SDK sends an empty value with uncompressed bodies.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "" | "identity" | "UTF-8" => Self::Identity,
            "gzip" => Self::Gzip,
            "deflate" => Self::Deflate,
            "br" => Self::Brotli,
            "zstd" => Self::Zstd,
            _ => return None,
        })
    }

    /// The value of `Content-Encoding`, or `None` for an uncompressed body, which has no such header.
    pub(crate) fn header(self) -> Option<&'static str> {
        match self {
            Self::Identity => None,
            Self::Gzip => Some("gzip"),
            Self::Deflate => Some("deflate"),
            Self::Brotli => Some("br"),
            Self::Zstd => Some("zstd"),
        }
    }
}

/// Why a body was not decoded to its end.
#[derive(Debug)]
pub(crate) enum DecodeError<E> {
    /// The body decodes to more than the limit.
    TooLarge,
    /// The body is not valid in its encoding, is incomplete, or takes more work than its size is worth.
    Corrupt(String),
    /// The consumer of the decoded blocks returned this error.
    Consumer(E),
}

/// Decodes `body` and calls `feed` with each decoded block. Fails if there are more than `limit` decoded bytes, if the
/// body is corrupt, or if `feed` fails.
pub(crate) fn decode<E>(
    encoding: Encoding,
    body: &[u8],
    limit: usize,
    mut feed: impl FnMut(&[u8]) -> Result<(), E>,
) -> Result<(), DecodeError<E>> {
    if encoding == Encoding::Identity {
        if body.len() > limit {
            return Err(DecodeError::TooLarge);
        }
        return feed(body).map_err(DecodeError::Consumer);
    }
    // The decoders call this through a pointer, so that the binary contains them once.
    let mut failed = None;
    let mut take = |block: &[u8]| match feed(block) {
        Ok(()) => true,
        Err(error) => {
            failed = Some(error);
            false
        }
    };
    let decoded =
        decode_compressed(encoding, body, &mut Output { limit, written: 0, blocks: 0, take: &mut take });
    match (failed, decoded) {
        (Some(error), _) => Err(DecodeError::Consumer(error)),
        (None, Ok(())) => Ok(()),
        (None, Err(Stop::TooLarge)) => Err(DecodeError::TooLarge),
        (None, Err(Stop::Corrupt(why))) => Err(DecodeError::Corrupt(why.to_owned())),
        (None, Err(Stop::Invalid(error))) => Err(DecodeError::Corrupt(error.to_string())),
        (None, Err(Stop::Consumer)) => Err(DecodeError::Corrupt("interrupted".to_owned())),
    }
}

fn decode_compressed(encoding: Encoding, body: &[u8], output: &mut Output<'_>) -> Result<(), Stop> {
    match encoding {
        Encoding::Identity => output.put(body),
        Encoding::Gzip => inflate::gzip(body, output),
        Encoding::Deflate => inflate::zlib(body, output),
        Encoding::Zstd => zstd(body, output),
        Encoding::Brotli => brotli(body, output),
    }
}

/// Why decoding has stopped.
pub(super) enum Stop {
    TooLarge,
    Corrupt(&'static str),
    Invalid(io::Error),
    /// The consumer of the decoded blocks has failed.
    Consumer,
}

/// The compressed blocks that a body may have whatever its size is.
const FREE_BLOCKS: usize = 1000;
/// The decoded bytes for each further block. Encoders write much larger blocks. A client that flushes its encoder after
/// each line writes small ones.
const BYTES_PER_BLOCK: usize = 128;

/// Takes the decoded bytes, and bounds them and the work that they cost.
pub(super) struct Output<'a> {
    limit: usize,
    written: usize,
    blocks: usize,
    take: &'a mut dyn FnMut(&[u8]) -> bool,
}

impl Output<'_> {
    /// Passes decoded bytes on.
    pub(super) fn put(&mut self, decoded: &[u8]) -> Result<(), Stop> {
        self.written += decoded.len();
        if self.written > self.limit {
            return Err(Stop::TooLarge);
        }
        if (self.take)(decoded) { Ok(()) } else { Err(Stop::Consumer) }
    }

    /// Counts a compressed block, or anything else that costs the decoder time without giving bytes.
    pub(super) fn count_block(&mut self) -> Result<(), Stop> {
        self.blocks += 1;
        if self.blocks > FREE_BLOCKS + self.written / BYTES_PER_BLOCK {
            return Err(Stop::Corrupt("too many compressed blocks for so little data"));
        }
        Ok(())
    }

    /// Returns how many bytes were decoded so far.
    pub(super) fn written(&self) -> usize {
        self.written
    }
}

/// The zstd window that is always accepted, in bytes: encoders use it at their highest usual level. A frame may ask
/// for a larger window than the size that it decodes to.
const MAX_WINDOW: usize = 8 << 20;
/// The size of the pieces that the decoders of zstd and brotli give, in bytes.
const PIECE: usize = 8 * 1024;

/// Decodes all zstd frames of a body. A streaming encoder may send several.
fn zstd(mut body: &[u8], output: &mut Output<'_>) -> Result<(), Stop> {
    let invalid = |error| Stop::Invalid(io::Error::other(error));
    let mut decoder = FrameDecoder::new();
    decoder.set_max_window_size(output.limit.max(MAX_WINDOW) as u64);
    let mut piece = [0; PIECE];
    loop {
        output.count_block()?;
        decoder.reset(&mut body).map_err(invalid)?;
        while !decoder.is_finished() {
            output.count_block()?;
            decoder.decode_blocks(&mut body, BlockDecodingStrategy::UptoBlocks(1)).map_err(invalid)?;
            loop {
                let read = decoder.read(&mut piece).map_err(Stop::Invalid)?;
                if read == 0 {
                    break;
                }
                output.put(piece.get(..read).unwrap_or_default())?;
            }
        }
        if body.is_empty() {
            return Ok(());
        }
    }
}

fn brotli(body: &[u8], output: &mut Output<'_>) -> Result<(), Stop> {
    let mut writer = BrotliOutput { output, stopped: None };
    let mut decoder = brotli_decompressor::DecompressorWriter::new(&mut writer, PIECE);
    let written = decoder.write_all(body).and_then(|()| decoder.close());
    drop(decoder);
    match writer.stopped {
        Some(why) => Err(why),
        None => written.map_err(Stop::Invalid),
    }
}

/// The brotli decoder writes its output instead of letting it be read.
struct BrotliOutput<'a, 'b> {
    output: &'a mut Output<'b>,
    stopped: Option<Stop>,
}

impl Write for BrotliOutput<'_, '_> {
    fn write(&mut self, block: &[u8]) -> io::Result<usize> {
        let why = match self.output.put(block) {
            Ok(()) => return Ok(block.len()),
            Err(why) => why,
        };
        self.stopped.get_or_insert(why);
        Err(io::Error::other("stopped"))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::convert::Infallible;

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

    const ALL: [(Encoding, &[u8]); 4] = [
        (Encoding::Gzip, GZIP),
        (Encoding::Deflate, ZLIB),
        (Encoding::Brotli, BROTLI),
        (Encoding::Zstd, ZSTD),
    ];

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
}
