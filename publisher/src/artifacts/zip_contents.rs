//! What is inside a layer zip: whether Lambda would take it, and start what is in it.

use crate::model::{
    arch::Arch,
    layer_layout::{EXTENSION, WRAPPER},
};
use object::{LittleEndian, elf};
use std::io::{Cursor, Read};
use zip::{ZipArchive, read::ZipFile};

/// Where Lambda looks for extensions.
const FOLDER: &str = "extensions/";
/// Lambda's limit for everything in `/opt`.
const LARGEST: u64 = 250 * 1024 * 1024;

/// Why a zip is not a layer with an extension.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ContentsError {
    /// Not a zip at all, or a broken one.
    #[error("it is not a zip that can be read")]
    Zip(#[from] zip::result::ZipError),
    /// An entry that ends too early.
    #[error("`{entry}` in it cannot be read")]
    Read {
        /// Which.
        entry: String,
        /// Why.
        source: std::io::Error,
    },
    /// Lambda would refuse it.
    #[error("unpacked it has {0} bytes; Lambda takes at most {LARGEST}")]
    TooLarge(u64),
    /// Nothing for Lambda to start.
    #[error("it has no file in extensions/, so Lambda would start nothing")]
    NoExtension,
    /// Functions that start their runtime through it would not start.
    #[error("`{WRAPPER}` in it has to be a link to `{EXTENSION}`, but {0}")]
    Wrapper(String),
    /// Lambda could not start it.
    #[error("`{entry}` in it is not executable (mode {mode:o})")]
    Mode {
        /// Which.
        entry: String,
        /// Its permissions.
        mode: u32,
    },
    /// Lambda could not start it.
    #[error("`{entry}` in it is {found}, not a binary for {arch}")]
    Machine {
        /// Which.
        entry: String,
        /// What it is.
        found: String,
        /// What it should be.
        arch: Arch,
    },
}

/// Looks at every entry.
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
            wrapper = link(&mut file).map_err(|source| ContentsError::Read { entry, source })?;
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
    if unpacked > LARGEST {
        return Err(ContentsError::TooLarge(unpacked));
    }
    if extensions == 0 {
        return Err(ContentsError::NoExtension);
    }
    wrapper.map_err(ContentsError::Wrapper)
}

/// Whether an entry is a link to the extension, or what is wrong with it.
fn link(file: &mut ZipFile<'_, impl Read>) -> std::io::Result<Result<(), String>> {
    if !file.is_symlink() {
        return Ok(Err(format!("it is a file (mode {:o})", file.unix_mode().unwrap_or_default())));
    }
    // One byte more than it should have tells a longer one.
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
