//! Decodes content encodings block by block, so that the decoded body is never in memory as a whole. The decoded bytes
//! are bounded, and so is the work: a body of a few megabytes that decodes to nothing could cost half a minute.

use super::brotli::brotli;
use super::decoder_output::{Output, Stop};
use super::inflate;
use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};
use std::convert::Infallible;
use std::io::{self, Read as _};

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
    let decoded = decode_compressed(encoding, body, &mut Output::new(limit, &mut take));
    match (failed, decoded) {
        (Some(error), _) => Err(DecodeError::Consumer(error)),
        (None, Ok(())) => Ok(()),
        (None, Err(Stop::TooLarge)) => Err(DecodeError::TooLarge),
        (None, Err(Stop::Corrupt(why))) => Err(DecodeError::Corrupt(why.to_owned())),
        (None, Err(Stop::Invalid(error))) => Err(DecodeError::Corrupt(error.to_string())),
        (None, Err(Stop::Consumer)) => Err(DecodeError::Corrupt("interrupted".to_owned())),
    }
}

/// Returns the whole decoded body, or `None` if it cannot be decoded or has more than `limit` bytes.
pub(crate) fn decode_all(encoding: Encoding, body: &[u8], limit: usize) -> Option<Vec<u8>> {
    let mut plain = Vec::new();
    let append = |block: &[u8]| {
        plain.extend_from_slice(block);
        Ok::<(), Infallible>(())
    };
    decode(encoding, body, limit, append).ok()?;
    Some(plain)
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

/// The zstd window that is always accepted, in bytes: encoders use it at their highest usual level. A frame may ask
/// for a larger window than the size that it decodes to.
const MAX_WINDOW: usize = 8 << 20;
/// The size of the pieces that the decoder of zstd gives, in bytes.
const PIECE: usize = 8 * 1024;

/// Decodes all zstd frames of a body. A streaming encoder may send several.
fn zstd(mut body: &[u8], output: &mut Output<'_>) -> Result<(), Stop> {
    let invalid = |error| Stop::Invalid(io::Error::other(error));
    let mut decoder = FrameDecoder::new();
    decoder.set_max_window_size(output.limit().max(MAX_WINDOW) as u64);
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

#[cfg(test)]
mod tests;
