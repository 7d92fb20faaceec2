//! A file that Zopfli has compressed, as an archive of its own, from which it can be copied into another.
//!
//! The zip crate calls Zopfli too, but lets it divide a file into 15 blocks at most. Code and tables of the binary
//! change more often than that: with as many blocks as Zopfli finds useful, the layer is more than 1 % smaller.

use std::{io, num::NonZeroU64};

/// More rounds take longer and gain hardly anything: these are 0.02 % less than five, for three times the time.
const ROUNDS: NonZeroU64 = NonZeroU64::MIN.saturating_add(14);
/// More than Zopfli ever finds useful.
const MAX_BLOCKS: u16 = 1000;

const LOCAL_HEADER: u32 = 0x0403_4b50;
const CENTRAL_HEADER: u32 = 0x0201_4b50;
const END: u32 = 0x0605_4b50;
const LOCAL_HEADER_LENGTH: u32 = 30;
const CENTRAL_HEADER_LENGTH: u32 = 46;
const VERSION: u16 = 20;
/// The host whose attributes of files are meant.
const UNIX: u16 = 3 << 8;
const DEFLATED: u16 = 8;
const REGULAR_FILE: u32 = 0o100_000 << 16;

/// Returns a zip archive with this file alone. Time and permissions are for the copy to set.
pub(crate) fn archive(name: &str, content: &[u8]) -> io::Result<Vec<u8>> {
    let options =
        zopfli::Options { iteration_count: ROUNDS, maximum_block_splits: MAX_BLOCKS, ..Default::default() };
    let mut deflated = Vec::new();
    zopfli::compress(options, zopfli::Format::Deflate, content, &mut deflated)?;
    let mut checksum = flate2::Crc::new();
    checksum.update(content);
    let length = |length: usize| u32::try_from(length).map_err(io::Error::other);
    let name_length = u16::try_from(name.len()).map_err(io::Error::other)?;
    let (packed, unpacked) = (length(deflated.len())?, length(content.len())?);

    // What both headers have: version, flags, method, time and date, checksum, sizes, and the lengths of name and extra
    // field.
    let mut common = Vec::new();
    common.extend([VERSION, 0, DEFLATED, 0, 0].into_iter().flat_map(u16::to_le_bytes));
    common.extend([checksum.sum(), packed, unpacked].into_iter().flat_map(u32::to_le_bytes));
    common.extend([name_length, 0].into_iter().flat_map(u16::to_le_bytes));
    let local = [&LOCAL_HEADER.to_le_bytes()[..], &common, name.as_bytes(), &deflated].concat();

    let mut central = Vec::from(CENTRAL_HEADER.to_le_bytes());
    central.extend((UNIX | VERSION).to_le_bytes());
    central.extend(common);
    // The lengths of the comment, the number of the disk, internal attributes, attributes, and where the file begins.
    central.extend([0_u16, 0, 0].into_iter().flat_map(u16::to_le_bytes));
    central.extend([REGULAR_FILE, 0].into_iter().flat_map(u32::to_le_bytes));
    central.extend(name.as_bytes());

    let mut end = Vec::from(END.to_le_bytes());
    // The numbers of disks, and those of entries.
    end.extend([0_u16, 0, 1, 1].into_iter().flat_map(u16::to_le_bytes));
    let start_of_central = LOCAL_HEADER_LENGTH + u32::from(name_length) + packed;
    let length_of_central = CENTRAL_HEADER_LENGTH + u32::from(name_length);
    end.extend([length_of_central, start_of_central].into_iter().flat_map(u32::to_le_bytes));
    end.extend(0_u16.to_le_bytes());
    Ok([local, central, end].concat())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Cursor, Read as _};
    use zip::ZipArchive;

    #[test]
    fn the_file_is_read_back() {
        let content: Vec<u8> = (0..50_000_u32).map(|n| (n / 7 * n).to_le_bytes()[1]).collect();
        for content in [&content[..], b"", b"one line\n"] {
            let archive = archive("folder/file", content).unwrap();
            let mut archive = ZipArchive::new(Cursor::new(archive)).unwrap();
            assert_eq!(archive.len(), 1);
            let mut file = archive.by_index(0).unwrap();
            assert_eq!((file.name().unwrap().as_ref(), file.size()), ("folder/file", content.len() as u64));
            let mut read = Vec::new();
            // This checks the checksum, too.
            file.read_to_end(&mut read).unwrap();
            assert_eq!(read, content);
        }
    }
}
