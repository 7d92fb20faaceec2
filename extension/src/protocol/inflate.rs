//! Inflates deflate streams in gzip members or a zlib stream.
//!
//! The decoder builds tables for each deflate block, which takes microseconds, and an encoded block may be shorter than
//! two bytes. So the blocks are counted: a few megabytes of empty ones would keep the process busy for half a minute.

use super::crc32::Crc32;
use super::decoder_output::{Output, Stop};
use miniz_oxide::inflate::TINFLStatus;
use miniz_oxide::inflate::core::inflate_flags::{
    TINFL_FLAG_PARSE_ZLIB_HEADER, TINFL_FLAG_STOP_ON_BLOCK_BOUNDARY,
};
use miniz_oxide::inflate::core::{DecompressorOxide, decompress};

/// The largest distance of a repetition, and so the size of the output buffer. The decoder needs a power of two.
const WINDOW: usize = 32 * 1024;

/// The flags of a gzip header, for the fields that follow it.
const HEADER_CRC: u8 = 2;
const EXTRA: u8 = 4;
const NAME: u8 = 8;
const COMMENT: u8 = 16;

const INCOMPLETE: Stop = Stop::Corrupt("the compressed data ends early");

struct Inflater {
    decoder: DecompressorOxide,
    window: Box<[u8]>,
}

impl Inflater {
    fn new() -> Self {
        Self { decoder: DecompressorOxide::new(), window: vec![0; WINDOW].into() }
    }

    /// Decodes one deflate stream from the start of `input`, and returns what follows it. `checksum` takes in what
    /// was decoded.
    fn run<'a>(
        &mut self,
        mut input: &'a [u8],
        flags: u32,
        output: &mut Output<'_>,
        mut checksum: Option<&mut Crc32>,
    ) -> Result<&'a [u8], Stop> {
        self.decoder.init();
        let mut at = 0;
        output.count_block()?;
        loop {
            let flags = flags | TINFL_FLAG_STOP_ON_BLOCK_BOUNDARY;
            let (status, read, written) = decompress(&mut self.decoder, input, &mut self.window, at, flags);
            input = input.get(read..).unwrap_or_default();
            if written > 0 {
                let decoded = self.window.get(at..at + written).unwrap_or_default();
                if let Some(checksum) = &mut checksum {
                    checksum.update(decoded);
                }
                output.put(decoded)?;
                at = (at + written) % WINDOW;
            }
            match status {
                TINFLStatus::Done => return Ok(input),
                TINFLStatus::BlockBoundary => output.count_block()?,
                TINFLStatus::HasMoreOutput => {}
                TINFLStatus::NeedsMoreInput | TINFLStatus::FailedCannotMakeProgress => {
                    return Err(INCOMPLETE);
                }
                _ => return Err(Stop::Corrupt("invalid deflate data")),
            }
        }
    }
}

/// Decodes a zlib stream. What follows it is ignored.
pub(super) fn zlib(body: &[u8], output: &mut Output<'_>) -> Result<(), Stop> {
    Inflater::new().run(body, TINFL_FLAG_PARSE_ZLIB_HEADER, output, None).map(drop)
}

/// Decodes the members of a gzip file, of which there are usually one.
pub(super) fn gzip(mut body: &[u8], output: &mut Output<'_>) -> Result<(), Stop> {
    let mut inflater = Inflater::new();
    loop {
        let deflated = after_gzip_header(body).ok_or(Stop::Corrupt("invalid gzip header"))?;
        let (mut checksum, before) = (Crc32::new(), output.written());
        let trailer = inflater.run(deflated, 0, output, Some(&mut checksum))?;
        let ([sum @ .., l0, l1, l2, l3], rest) = trailer.split_first_chunk::<8>().ok_or(INCOMPLETE)?;
        // The trailer holds the length modulo 2^32.
        let length = (output.written() - before) & 0xffff_ffff;
        if u32::from_le_bytes(*sum) != checksum.finish()
            || u32::from_le_bytes([*l0, *l1, *l2, *l3]) as usize != length
        {
            return Err(Stop::Corrupt("the checksum of the gzip data is wrong"));
        }
        if rest.is_empty() {
            return Ok(());
        }
        body = rest;
    }
}

/// Skips the header of a gzip member. `None` means that it is invalid or incomplete.
fn after_gzip_header(body: &[u8]) -> Option<&[u8]> {
    let ([0x1f, 0x8b, 8, flags, _, _, _, _, _, _], mut rest) = body.split_first_chunk::<10>()? else {
        return None;
    };
    if flags & EXTRA != 0 {
        let (length, extra) = rest.split_first_chunk::<2>()?;
        rest = extra.get(usize::from(u16::from_le_bytes(*length))..)?;
    }
    for text in [NAME, COMMENT] {
        if flags & text != 0 {
            rest = rest.get(memchr::memchr(0, rest)? + 1..)?;
        }
    }
    if flags & HEADER_CRC != 0 { rest.get(2..) } else { Some(rest) }
}
