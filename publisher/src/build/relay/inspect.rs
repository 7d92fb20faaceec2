//! Finds out what a binary of Sentry's Relay needs from the system that it runs on.

use crate::{
    build::elf::{self as static_elf, ElfHeader},
    model::{arch::Arch, lambda_runtime::Glibc},
};
use object::{
    elf,
    read::elf::{Dyn, FileHeader, ProgramHeader, SectionHeader},
};

/// The needs of a binary.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Needs {
    /// The newest glibc version among its symbols; `None` for a static binary.
    pub(crate) glibc: Option<Glibc>,
    /// The libraries that not every runtime has.
    pub(crate) libraries: Vec<String>,
}

/// Why a binary cannot run on Lambda.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum InspectError {
    #[error(transparent)]
    Elf(#[from] static_elf::ElfError),
    #[error("it is cut off: it has {size} bytes, its tables reach to {end}")]
    CutOff { size: u64, end: u64 },
    /// The binary is linked with another C library.
    #[error("it asks for the interpreter {0}; Lambda has only that of glibc")]
    Interpreter(String),
    /// The binary was stripped of too much.
    #[error("its section headers are missing, so it is unknown which glibc it needs")]
    NoSections,
}

impl From<object::read::Error> for InspectError {
    fn from(error: object::read::Error) -> Self {
        Self::Elf(error.into())
    }
}

/// The libraries that are part of glibc, or of the base image of every runtime.
const BASE_LIBRARIES: [&str; 10] = [
    "libc.so.6",
    "libm.so.6",
    "libpthread.so.0",
    "libdl.so.2",
    "librt.so.1",
    "libresolv.so.2",
    "libutil.so.1",
    "libgcc_s.so.1",
    "ld-linux-x86-64.so.2",
    "ld-linux-aarch64.so.1",
];

/// Reads the needs of a binary from its headers.
pub(crate) fn inspect(binary: &[u8], wanted: Arch) -> Result<Needs, InspectError> {
    static_elf::executable(binary, wanted)?;
    check_complete(binary)?;
    let header = ElfHeader::parse(binary)?;
    let endian = header.endian()?;
    let segments = header.program_headers(endian, binary)?;
    for segment in segments {
        if let Some(interpreter) = segment.interpreter(endian, binary)? {
            let interpreter = String::from_utf8_lossy(interpreter).into_owned();
            if interpreter != loader(wanted) {
                return Err(InspectError::Interpreter(interpreter));
            }
        }
    }
    let mut dynamic = false;
    for segment in segments {
        let entries = segment.dynamic(endian, binary)?.unwrap_or_default();
        dynamic |= entries.iter().any(|entry| entry.d_tag(endian) == elf::DT_NEEDED);
    }
    if !dynamic {
        return Ok(Needs { glibc: None, libraries: Vec::new() });
    }
    let sections = header.sections(endian, binary)?;
    let Some((entries, strings)) = sections.dynamic(endian, binary)? else {
        return Err(InspectError::NoSections);
    };
    let strings = sections.strings(endian, binary, strings)?;
    let mut libraries = Vec::new();
    for entry in entries.iter().filter(|entry| entry.d_tag(endian) == elf::DT_NEEDED) {
        let name = entry.string(endian, strings)?;
        libraries.push(String::from_utf8_lossy(name).into_owned());
    }
    libraries.retain(|library| !BASE_LIBRARIES.contains(&library.as_str()));
    let mut glibc = None;
    if let Some((mut needs, strings)) = sections.gnu_verneed(endian, binary)? {
        let strings = sections.strings(endian, binary, strings)?;
        while let Some((_, mut versions)) = needs.next()? {
            while let Some(version) = versions.next()? {
                glibc = glibc.max(glibc_version(version.name(endian, strings)?));
            }
        }
    }
    Ok(Needs { glibc, libraries })
}

/// Parses a name such as `GLIBC_2.34`. The versions of other libraries and of glibc's internal interfaces give
/// `None`.
fn glibc_version(name: &[u8]) -> Option<Glibc> {
    // This name marks packed relative relocations, which loaders before glibc 2.36 do not know.
    if name == b"GLIBC_ABI_DT_RELR" {
        return Some(Glibc { major: 2, minor: 36 });
    }
    let mut numbers = std::str::from_utf8(name).ok()?.strip_prefix("GLIBC_")?.split('.');
    Some(Glibc { major: numbers.next()?.parse().ok()?, minor: numbers.next()?.parse().ok()? })
}

fn loader(arch: Arch) -> &'static str {
    match arch {
        Arch::Arm64 => "/lib/ld-linux-aarch64.so.1",
        Arch::X86_64 => "/lib64/ld-linux-x86-64.so.2",
    }
}

/// Checks that the file reaches as far as its tables say. A download that was cut off still begins like an ELF file.
fn check_complete(binary: &[u8]) -> Result<(), InspectError> {
    let header = ElfHeader::parse(binary)?;
    let endian = header.endian()?;
    let size = binary.len() as u64;
    let check_end = |end: u64| if end > size { Err(InspectError::CutOff { size, end }) } else { Ok(()) };
    let table = u64::from(header.e_shnum.get(endian)) * u64::from(header.e_shentsize.get(endian));
    if header.e_shoff.get(endian) != 0 {
        check_end(header.e_shoff.get(endian).saturating_add(table))?;
    }
    for segment in header.program_headers(endian, binary)? {
        check_end(segment.p_offset(endian).saturating_add(segment.p_filesz(endian)))?;
    }
    for section in header.section_headers(endian, binary)? {
        if let Some((offset, length)) = section.file_range(endian) {
            check_end(offset.saturating_add(length))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_compare_as_numbers() {
        let version = |text: &str| glibc_version(text.as_bytes()).map(|version| version.to_string());
        assert!(glibc_version(b"GLIBC_2.4") < glibc_version(b"GLIBC_2.34"));
        assert_eq!(version("GLIBC_2.2.5").as_deref(), Some("2.2"));
        assert_eq!(version("GLIBC_ABI_DT_RELR").as_deref(), Some("2.36"));
        for other in ["GLIBC_PRIVATE", "GCC_4.2.0", "GLIBCXX_3.4.30"] {
            assert_eq!(version(other), None, "{other}");
        }
    }
}
