//! Empties the index of a binary's unwind tables.
//!
//! With the index, a panic finds the table of each function on its way quickly. But it takes 8 bytes for each function,
//! which hardly compress: 2 % of the zip. An unwinder that finds the index empty looks through the tables themselves.
//! That takes a panic milliseconds, and there should be no panic.

use crate::build::elf::{ElfError, ElfHeader};
use object::{
    elf,
    read::elf::{FileHeader, ProgramHeader},
};

/// The first bytes of the index as linkers for Linux write it: its version, and how it tells where the tables begin,
/// which is a number of four bytes. The encodings of the number of entries and of the entries follow.
const START: [u8; 2] = [1, elf_encoding::RELATIVE | elf_encoding::SIGNED_4_BYTES];
/// The length of the header up to the number of entries.
const HEADER: usize = 8;

/// How numbers are encoded, as in the Linux Standard Base.
mod elf_encoding {
    pub(super) const SIGNED_4_BYTES: u8 = 0x0b;
    pub(super) const RELATIVE: u8 = 0x10;
    pub(super) const OMITTED: u8 = 0xff;
}

/// Removes all entries of the index. An index of an unknown form stays as it is.
pub(crate) fn empty(binary: &mut [u8]) -> Result<(), ElfError> {
    let header = ElfHeader::parse(&*binary)?;
    let endian = header.endian()?;
    let segments = header.program_headers(endian, &*binary)?;
    let index = segments.iter().find(|segment| segment.p_type(endian) == elf::PT_GNU_EH_FRAME);
    let Some((offset, length)) = index.map(|segment| segment.file_range(endian)) else { return Ok(()) };
    let outside = || ElfError::Damaged("its index of unwind tables is outside of the file".to_owned());
    let range = usize::try_from(offset).ok().zip(usize::try_from(length).ok());
    let (start, length) = range.ok_or_else(outside)?;
    let index = binary.get_mut(start..).and_then(|rest| rest.get_mut(..length)).ok_or_else(outside)?;
    if let Some(([first, second, of_number, of_entries, ..], entries)) = index.split_at_mut_checked(HEADER)
        && [*first, *second] == START
    {
        (*of_number, *of_entries) = (elf_encoding::OMITTED, elf_encoding::OMITTED);
        entries.fill(0);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file with one program header, for this index.
    fn binary(index: &[u8], length: u64) -> Vec<u8> {
        let mut header = [0; 64];
        header[..4].copy_from_slice(&elf::ELFMAG);
        (header[4], header[5], header[6]) = (elf::ELFCLASS64.0, elf::ELFDATA2LSB.0, 1);
        header[32..40].copy_from_slice(&64_u64.to_le_bytes());
        for (at, value) in [(52, 64_u16), (54, 56), (56, 1)] {
            header[at..at + 2].copy_from_slice(&value.to_le_bytes());
        }
        let mut program = [0; 56];
        program[..4].copy_from_slice(&elf::PT_GNU_EH_FRAME.0.to_le_bytes());
        program[8..16].copy_from_slice(&120_u64.to_le_bytes());
        program[32..40].copy_from_slice(&length.to_le_bytes());
        [&header[..], &program, index, b"rest"].concat()
    }

    #[test]
    fn the_entries_go_and_everything_else_stays() {
        let index = [1, 0x1b, 3, 0x3b, 7, 7, 7, 7, 2, 0, 0, 0, 9, 9, 9, 9, 9, 9, 9, 9];
        let mut emptied = binary(&index, 20);
        empty(&mut emptied).unwrap();
        let without = [1, 0x1b, 0xff, 0xff, 7, 7, 7, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        assert_eq!(emptied, binary(&without, 20));
    }

    #[test]
    fn an_unknown_form_stays() {
        for odd in [&[2, 0x1b, 3, 0x3b, 7, 7, 7, 7, 1][..], &[1, 0x0c, 3, 0x3b, 7, 7, 7, 7, 1], &[1, 0x1b]] {
            let mut same = binary(odd, odd.len() as u64);
            empty(&mut same).unwrap();
            assert_eq!(same, binary(odd, odd.len() as u64));
        }
    }

    #[test]
    fn an_index_outside_of_the_file_is_an_error() {
        for length in [100, u64::MAX] {
            assert!(matches!(empty(&mut binary(&[1, 0x1b], length)), Err(ElfError::Damaged(_))));
        }
    }
}
