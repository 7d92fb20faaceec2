//! The last check before a binary is packed: it has to start on Lambda, whatever the runtime's image holds.

use crate::model::arch::Arch;
use object::{
    Endianness, elf,
    read::elf::{Dyn, FileHeader, ProgramHeader},
};

type Header = elf::FileHeader64<Endianness>;

/// What is wrong with a binary.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ElfError {
    /// A script, an archive, a file cut off before its header ends.
    #[error("it is not an ELF file")]
    NotElf,
    /// Neither of Lambda's architectures has 32 bits.
    #[error("it is not a 64-bit ELF file")]
    Not64Bit,
    /// Built for another machine.
    #[error("it is for {found}, not for {wanted}")]
    Machine {
        /// What the header says.
        found: String,
        /// What was asked for.
        wanted: &'static str,
    },
    /// An object file, a library, a core dump.
    #[error("it is not an executable")]
    NotExecutable,
    /// Dynamically linked.
    #[error("it is dynamically linked: it asks for the interpreter {0}, which not every runtime has")]
    Interpreter(String),
    /// Dynamically linked, without saying by whom.
    #[error("it is dynamically linked: it needs {0} shared libraries")]
    Libraries(usize),
    /// Its tables lead out of the file.
    #[error("it is a damaged ELF file ({0})")]
    Damaged(String),
}

impl From<object::read::Error> for ElfError {
    fn from(error: object::read::Error) -> Self {
        Self::Damaged(error.to_string())
    }
}

/// Whether `binary` is an executable for `wanted`.
pub(crate) fn executable(binary: &[u8], wanted: Arch) -> Result<(), ElfError> {
    let header = parse(binary)?;
    let endian = header.endian()?;
    let machine = header.e_machine(endian);
    if machine != machine_of(wanted) {
        return Err(ElfError::Machine { found: machine_name(machine), wanted: wanted.name() });
    }
    // A static executable may be position-independent; a library has no entry point.
    let kind = header.e_type(endian);
    if (kind != elf::ET_EXEC && kind != elf::ET_DYN) || header.e_entry(endian) == 0 {
        return Err(ElfError::NotExecutable);
    }
    Ok(())
}

/// Which of Lambda's architectures a binary is for.
pub(crate) fn arch_of(binary: &[u8]) -> Result<Arch, ElfError> {
    let header = parse(binary)?;
    let machine = header.e_machine(header.endian()?);
    let known = Arch::ALL.into_iter().find(|&arch| machine_of(arch) == machine);
    known.ok_or_else(|| ElfError::Machine { found: machine_name(machine), wanted: "Lambda" })
}

fn parse(binary: &[u8]) -> Result<&Header, ElfError> {
    if !binary.starts_with(&elf::ELFMAG) {
        return Err(ElfError::NotElf);
    }
    if binary.get(4) != Some(&elf::ELFCLASS64.0) {
        return Err(ElfError::Not64Bit);
    }
    Ok(Header::parse(binary)?)
}

/// Whether `binary` is a static executable for `wanted`.
pub(crate) fn check(binary: &[u8], wanted: Arch) -> Result<(), ElfError> {
    executable(binary, wanted)?;
    let header = parse(binary)?;
    let endian = header.endian()?;
    let segments = header.program_headers(endian, binary)?;
    for segment in segments {
        if let Some(interpreter) = segment.interpreter(endian, binary)? {
            return Err(ElfError::Interpreter(String::from_utf8_lossy(interpreter).into_owned()));
        }
    }
    for segment in segments {
        let entries = segment.dynamic(endian, binary)?.unwrap_or_default();
        let needed = entries.iter().filter(|entry| entry.d_tag(endian) == elf::DT_NEEDED).count();
        if needed > 0 {
            return Err(ElfError::Libraries(needed));
        }
    }
    Ok(())
}

fn machine_of(arch: Arch) -> elf::Machine {
    match arch {
        Arch::Arm64 => elf::EM_AARCH64,
        Arch::X86_64 => elf::EM_X86_64,
    }
}

fn machine_name(machine: elf::Machine) -> String {
    let known = Arch::ALL.into_iter().find(|&arch| machine_of(arch) == machine);
    known.map_or_else(|| format!("machine {}", machine.0), |arch| arch.to_string())
}

#[cfg(test)]
#[path = "elf_tests.rs"]
mod tests;
