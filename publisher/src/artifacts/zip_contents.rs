//! Checks the content of a layer zip: whether Lambda accepts it, and whether Lambda can start the extension in it.

use crate::model::{
    arch::Arch,
    layer_layout::{EXTENSION, WRAPPER},
};
use object::{LittleEndian, elf};
use std::io::{Cursor, Read};
use zip::{ZipArchive, read::ZipFile};

/// The folder in which Lambda looks for extensions.
const FOLDER: &str = "extensions/";
/// Lambda's limit for everything in `/opt`, in bytes.
const MAX_UNPACKED: u64 = 250 * 1024 * 1024;

/// Why a zip is not a layer with an extension.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ContentsError {
    #[error("it is not a zip that can be read")]
    Zip(#[from] zip::result::ZipError),
    /// The entry is damaged, or it ends too early.
    #[error("`{entry}` in it cannot be read")]
    Read { entry: String, source: std::io::Error },
    #[error("unpacked it has {0} bytes; Lambda accepts at most {MAX_UNPACKED}")]
    TooLarge(u64),
    #[error("it has no file in extensions/, so Lambda would start nothing")]
    NoExtension,
    /// A function that starts its runtime through the wrapper would not start.
    #[error("`{WRAPPER}` in it has to be a link to `{EXTENSION}`, but {0}")]
    Wrapper(String),
    #[error("`{entry}` in it is not executable (mode {mode:o})")]
    Mode { entry: String, mode: u32 },
    #[error("`{entry}` in it is {found}, not a binary for {arch}")]
    Machine { entry: String, found: String, arch: Arch },
}

/// Checks all entries of a layer zip for `arch` and returns the first fault.
pub(crate) fn check(zip: &[u8], arch: Arch) -> Result<(), ContentsError> {
    let mut archive = ZipArchive::new(Cursor::new(zip))?;
    let mut unpacked = 0_u64;
    let mut extensions = 0;
    let mut wrapper = Err("there is none".to_owned());
    for index in 0..archive.len() {
        let mut file = archive.by_index(index)?;
        unpacked = unpacked.saturating_add(file.size());
        let entry = file.name()?.into_owned();
        if entry == WRAPPER {
            wrapper = check_wrapper(&mut file).map_err(|source| ContentsError::Read { entry, source })?;
            continue;
        }
        if !entry.starts_with(FOLDER) || file.is_dir() {
            continue;
        }
        extensions += 1;
        let mode = file.unix_mode().unwrap_or_default() & 0o777;
        if mode & 0o111 == 0 {
            return Err(ContentsError::Mode { entry, mode });
        }
        let mut head = [0; size_of::<elf::FileHeader64<LittleEndian>>()];
        let length = read_up_to(&mut file, &mut head)
            .map_err(|source| ContentsError::Read { entry: entry.clone(), source })?;
        let found = machine(head.get(..length).unwrap_or_default());
        if found != Ok(arch) {
            let found = found.map_or_else(|what| what, |other| format!("a binary for {other}"));
            return Err(ContentsError::Machine { entry, found, arch });
        }
    }
    if unpacked > MAX_UNPACKED {
        return Err(ContentsError::TooLarge(unpacked));
    }
    if extensions == 0 {
        return Err(ContentsError::NoExtension);
    }
    wrapper.map_err(ContentsError::Wrapper)
}

/// Checks that an entry is a link to the extension. The inner error says what it is instead.
fn check_wrapper(file: &mut ZipFile<'_, impl Read>) -> std::io::Result<Result<(), String>> {
    if !file.is_symlink() {
        return Ok(Err(format!("it is a file (mode {:o})", file.unix_mode().unwrap_or_default())));
    }
    // The buffer has one byte more than the expected target, so that a longer target is noticed.
    let mut target = [0; EXTENSION.len() + 1];
    let length = read_up_to(file, &mut target)?;
    let target = target.get(..length).unwrap_or_default();
    let right = target == EXTENSION.as_bytes();
    Ok(if right { Ok(()) } else { Err(format!("it links to `{}`", String::from_utf8_lossy(target))) })
}

fn read_up_to(from: &mut impl Read, buffer: &mut [u8]) -> std::io::Result<usize> {
    let mut length = 0;
    while let Some(rest) = buffer.get_mut(length..).filter(|rest| !rest.is_empty()) {
        match from.read(rest)? {
            0 => break,
            more => length += more,
        }
    }
    Ok(length)
}

fn machine(head: &[u8]) -> Result<Arch, String> {
    use object::read::elf::FileHeader;
    let header = elf::FileHeader64::<LittleEndian>::parse(head)
        .map_err(|_| "no 64-bit little-endian ELF file".to_owned())?;
    match header.e_machine(LittleEndian) {
        elf::EM_AARCH64 => Ok(Arch::Arm64),
        elf::EM_X86_64 => Ok(Arch::X86_64),
        other => Err(format!("an ELF file for machine {other}")),
    }
}
