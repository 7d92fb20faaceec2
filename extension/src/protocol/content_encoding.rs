//! Decodes content encodings block by block, so that the decoded body is never in memory as a whole.

use ruzstd::decoding::{FrameDecoder, StreamingDecoder};
use std::io::{self, Read, Write};

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
    /// The body is not valid in its encoding, or is incomplete.
    Corrupt(io::Error),
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
    let corrupt = DecodeError::Corrupt;
    match encoding {
        Encoding::Identity if body.len() > limit => Err(DecodeError::TooLarge),
        Encoding::Identity => feed(body).map_err(DecodeError::Consumer),
        Encoding::Gzip => read_blocks(flate2::bufread::MultiGzDecoder::new(body), limit, feed),
        Encoding::Deflate => read_blocks(flate2::bufread::ZlibDecoder::new(body), limit, feed),
        Encoding::Zstd => read_blocks(ZstdFrames { rest: body, frame: None, limit }, limit, feed),
        Encoding::Brotli => {
            let mut writer = BlockWriter { left: limit, feed: &mut feed, stopped: None };
            let mut decoder = brotli_decompressor::DecompressorWriter::new(&mut writer, BLOCK);
            let written = decoder.write_all(body).and_then(|()| decoder.close());
            drop(decoder);
            match (writer.stopped, written) {
                (Some(why), _) => Err(why),
                (None, written) => written.map_err(corrupt),
            }
        }
    }
}

/// The size of a decoded block, in bytes.
const BLOCK: usize = 8 * 1024;

fn read_blocks<E>(
    mut source: impl Read,
    limit: usize,
    mut feed: impl FnMut(&[u8]) -> Result<(), E>,
) -> Result<(), DecodeError<E>> {
    let mut block = [0; BLOCK];
    let mut left = limit;
    loop {
        let read = match source.read(&mut block) {
            Ok(0) => return Ok(()),
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(DecodeError::Corrupt(error)),
        };
        left = left.checked_sub(read).ok_or(DecodeError::TooLarge)?;
        feed(block.get(..read).unwrap_or_default()).map_err(DecodeError::Consumer)?;
    }
}

/// The zstd window that is always accepted, in bytes: encoders use it at their highest usual level. A frame may ask
/// for a larger window than the size that it decodes to.
const MAX_WINDOW: usize = 8 << 20;

/// Reads all zstd frames of a body. A streaming encoder may send several.
struct ZstdFrames<'a> {
    rest: &'a [u8],
    frame: Option<StreamingDecoder<&'a [u8], FrameDecoder>>,
    limit: usize,
}

impl Read for ZstdFrames<'_> {
    fn read(&mut self, block: &mut [u8]) -> io::Result<usize> {
        loop {
            if let Some(frame) = &mut self.frame {
                let read = frame.read(block)?;
                if read > 0 {
                    return Ok(read);
                }
                self.rest = frame.get_ref();
            }
            if self.rest.is_empty() && self.frame.take().is_some() {
                return Ok(0);
            }
            let window = self.limit.max(MAX_WINDOW) as u64;
            let next = StreamingDecoder::new_with_max_window_size(self.rest, window);
            self.frame = Some(next.map_err(io::Error::other)?);
        }
    }
}

/// Passes blocks on to `feed` and counts them. The brotli decoder writes its output instead of letting it be read.
struct BlockWriter<'a, E, F> {
    left: usize,
    feed: &'a mut F,
    stopped: Option<DecodeError<E>>,
}

impl<E, F: FnMut(&[u8]) -> Result<(), E>> Write for BlockWriter<'_, E, F> {
    fn write(&mut self, block: &[u8]) -> io::Result<usize> {
        let stopped = match self.left.checked_sub(block.len()) {
            None => DecodeError::TooLarge,
            Some(left) => {
                self.left = left;
                match (self.feed)(block) {
                    Ok(()) => return Ok(block.len()),
                    Err(error) => DecodeError::Consumer(error),
                }
            }
        };
        self.stopped.get_or_insert(stopped);
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
}
