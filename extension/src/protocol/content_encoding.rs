//! Content encodings: read through in blocks, so that what a body decodes to is never held.

use ruzstd::decoding::{FrameDecoder, StreamingDecoder};
use std::io::{self, Read, Write};

/// How a body is compressed. Names are matched exactly, as Relay does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Encoding {
    Identity,
    Gzip,
    Deflate,
    Brotli,
    Zstd,
}

impl Encoding {
    /// Reads the value of `Content-Encoding`; empty is what Ruby sends with plain bodies.
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

    /// The value of `Content-Encoding` to send along; none for plain bodies.
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

/// Why a body could not be read to its end.
#[derive(Debug)]
pub(crate) enum DecodeError<E> {
    /// It decodes to more than the limit.
    TooLarge,
    /// It is not what its encoding says.
    Corrupt(io::Error),
    /// Whoever was fed does not want it.
    Refused(E),
}

/// Feeds what `body` decodes to, block by block and at most `limit` bytes, to `feed`.
pub(crate) fn decode<E>(
    encoding: Encoding,
    body: &[u8],
    limit: usize,
    mut feed: impl FnMut(&[u8]) -> Result<(), E>,
) -> Result<(), DecodeError<E>> {
    let corrupt = DecodeError::Corrupt;
    match encoding {
        Encoding::Identity if body.len() > limit => Err(DecodeError::TooLarge),
        Encoding::Identity => feed(body).map_err(DecodeError::Refused),
        Encoding::Gzip => pump(flate2::bufread::MultiGzDecoder::new(body), limit, feed),
        Encoding::Deflate => pump(flate2::bufread::ZlibDecoder::new(body), limit, feed),
        Encoding::Zstd => pump(Frames { rest: body, frame: None, limit }, limit, feed),
        Encoding::Brotli => {
            let mut tap = Tap { left: limit, feed: &mut feed, stopped: None };
            let mut source = brotli_decompressor::DecompressorWriter::new(&mut tap, BLOCK);
            let written = source.write_all(body).and_then(|()| source.close());
            drop(source);
            match (tap.stopped, written) {
                (Some(why), _) => Err(why),
                (None, written) => written.map_err(corrupt),
            }
        }
    }
}

const BLOCK: usize = 8 * 1024;

fn pump<E>(
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
        feed(block.get(..read).unwrap_or_default()).map_err(DecodeError::Refused)?;
    }
}

/// Windows of encoders at their highest usual level; a frame may ask for more than what it decodes to.
const MAX_WINDOW: usize = 8 << 20;

/// Zstd's frames one after the other: encoders that stream may send several.
struct Frames<'a> {
    rest: &'a [u8],
    frame: Option<StreamingDecoder<&'a [u8], FrameDecoder>>,
    limit: usize,
}

impl Read for Frames<'_> {
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

/// The reading end of a decoder that pushes.
struct Tap<'a, E, F> {
    left: usize,
    feed: &'a mut F,
    stopped: Option<DecodeError<E>>,
}

impl<E, F: FnMut(&[u8]) -> Result<(), E>> Write for Tap<'_, E, F> {
    fn write(&mut self, block: &[u8]) -> io::Result<usize> {
        let stopped = match self.left.checked_sub(block.len()) {
            None => DecodeError::TooLarge,
            Some(left) => {
                self.left = left;
                match (self.feed)(block) {
                    Ok(()) => return Ok(block.len()),
                    Err(error) => DecodeError::Refused(error),
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

    /// `{}\n` a thousand times over, by each encoder's reference implementation.
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
    fn every_encoding() {
        let plain = "{}\n".repeat(1000).into_bytes();
        for (encoding, body) in ALL {
            assert_eq!(decoded(encoding, body, plain.len()).unwrap(), plain, "{encoding:?}");
        }
        assert_eq!(decoded(Encoding::Identity, &plain, plain.len()).unwrap(), plain);
        // SDKs that stream may send several members.
        assert_eq!(decoded(Encoding::Gzip, &GZIP.repeat(2), 6000).unwrap(), plain.repeat(2));
        assert_eq!(decoded(Encoding::Zstd, &ZSTD.repeat(2), 6000).unwrap(), plain.repeat(2));
    }

    #[test]
    fn the_limit_holds_for_what_a_body_decodes_to() {
        for (encoding, body) in ALL {
            assert!(matches!(decoded(encoding, body, 2999), Err(DecodeError::TooLarge)), "{encoding:?}");
        }
        assert!(matches!(decoded(Encoding::Identity, b"{}\n", 2), Err(DecodeError::TooLarge)));
    }

    #[test]
    fn corrupt_and_truncated_bodies() {
        for (encoding, body) in ALL {
            let cut = &body[..body.len() - 3];
            assert!(matches!(decoded(encoding, cut, 9999), Err(DecodeError::Corrupt(_))), "{encoding:?}");
            let noise = [0x5a; 40];
            assert!(matches!(decoded(encoding, &noise, 9999), Err(DecodeError::Corrupt(_))), "{encoding:?}");
        }
    }

    #[test]
    fn a_reader_that_had_enough_ends_it() {
        for (encoding, body) in ALL {
            let mut fed = 0;
            let outcome = decode(encoding, body, 9999, |_| {
                fed += 1;
                Err("enough")
            });
            assert!(matches!(outcome, Err(DecodeError::Refused("enough"))), "{encoding:?}");
            assert_eq!(fed, 1, "{encoding:?}");
        }
    }
}
