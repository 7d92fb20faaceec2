//! Removes the debug sections from a binary, without moving a byte that is loaded.
//!
//! A linker puts debug sections behind everything that is mapped. So the front of the file stays as it is, what
//! follows closes the gaps, and the headers of removed sections become inactive, so that section indexes stay valid.

use crate::build::elf::ElfHeader;
use object::{
    Endianness, elf, pod,
    read::elf::{FileHeader, ProgramHeader, SectionHeader},
};

type Section = elf::SectionHeader64<Endianness>;

/// Returns the smaller binary, or `None` if it has no debug sections. Fails if they cannot be removed safely. The
/// caller has checked that the ELF file is complete.
pub(crate) fn strip(binary: &[u8]) -> Result<Option<Vec<u8>>, StripError> {
    let header = ElfHeader::parse(binary)?;
    let endian = header.endian()?;
    let sections = header.sections(endian, binary)?;
    let loaded = |section: &Section| section.sh_flags(endian).contains(elf::SHF_ALLOC);
    // Rust's `.debug_gdb_scripts` is loaded in spite of its name, so it stays.
    let is_debug = |section: &Section| {
        let named = sections.section_name(endian, section).is_ok_and(|name| {
            name.starts_with(b".debug_") || name.starts_with(b".zdebug_") || name == b".gdb_index"
        });
        named && !loaded(section)
    };
    if !sections.iter().any(is_debug) {
        return Ok(None);
    }
    let mut front = header.e_phoff.get(endian)
        + u64::from(header.e_phnum.get(endian)) * u64::from(header.e_phentsize.get(endian));
    for segment in header.program_headers(endian, binary)? {
        front = front.max(segment.p_offset(endian) + segment.p_filesz(endian));
    }
    for section in sections.iter().filter(|section| loaded(section)) {
        front = front.max(section.file_range(endian).map_or(0, |(offset, size)| offset + size));
    }

    let mut out = binary.get(..usize::try_from(front)?).ok_or(StripError::Layout)?.to_vec();
    let mut table: Vec<Section> = sections.iter().copied().collect();
    let mut order: Vec<&mut Section> = table.iter_mut().collect();
    order.sort_by_key(|section| section.sh_offset(endian));
    for section in order {
        if is_debug(section) {
            if section.sh_offset(endian) < front {
                return Err(StripError::Layout);
            }
            *section = *pod::from_bytes::<Section>(&[0; 64]).map_err(|()| StripError::Layout)?.0;
            continue;
        }
        let Some((offset, size)) = section.file_range(endian).filter(|(offset, _)| *offset >= front) else {
            continue;
        };
        pad(&mut out, section.sh_addralign(endian))?;
        let new = out.len() as u64;
        let end = offset.checked_add(size).ok_or(StripError::Layout)?;
        let data = binary.get(usize::try_from(offset)?..usize::try_from(end)?).ok_or(StripError::Layout)?;
        out.extend_from_slice(data);
        section.sh_offset.set(endian, new);
    }
    pad(&mut out, 8)?;
    let mut new_header = *header;
    new_header.e_shoff.set(endian, out.len() as u64);
    out.extend_from_slice(pod::bytes_of_slice(&table));
    let bytes = pod::bytes_of(&new_header);
    out.get_mut(..bytes.len()).ok_or(StripError::Layout)?.copy_from_slice(bytes);
    Ok(Some(out))
}

fn pad(out: &mut Vec<u8>, align: u64) -> Result<(), StripError> {
    let align = usize::try_from(align.max(1))?;
    out.resize(out.len().checked_next_multiple_of(align).ok_or(StripError::Layout)?, 0);
    Ok(())
}

/// Why the debug sections stay.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StripError {
    #[error("its tables cannot be read")]
    Read(#[from] object::read::Error),
    /// A debug section lies among the loaded ones.
    #[error("its sections are not in the order that linkers use")]
    Layout,
    /// The file is too large for the memory of this machine.
    #[error("it is too large")]
    Size(#[from] std::num::TryFromIntError),
}
