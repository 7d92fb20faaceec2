//! Checks a binary before it is packed: it has to start on Lambda, whatever libraries the runtime's image has.

use crate::model::arch::Arch;
use object::{
    Endianness, elf,
    read::elf::{Dyn, FileHeader, ProgramHeader},
};

/// The header of a 64-bit ELF file.
pub(crate) type ElfHeader = elf::FileHeader64<Endianness>;

/// What is wrong with a binary.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ElfError {
    /// It is, for example, a script, an archive, or a file that is cut off within its header.
    #[error("it is not an ELF file")]
    NotElf,
    /// Both of Lambda's architectures have 64 bits.
    #[error("it is not a 64-bit ELF file")]
    Not64Bit,
    #[error("it is for {found}, not for {wanted}")]
    Machine { found: String, wanted: &'static str },
    /// It is, for example, an object file, a library or a core dump.
    #[error("it is not an executable")]
    NotExecutable,
    #[error("it is dynamically linked: it asks for the interpreter {0}, which not every runtime has")]
    Interpreter(String),
    /// The binary is dynamically linked, but it names no interpreter.
    #[error("it is dynamically linked: it needs {0} shared libraries")]
    Libraries(usize),
    /// A table of the file points to a place outside the file.
    #[error("it is a damaged ELF file ({0})")]
    Damaged(String),
}

impl From<object::read::Error> for ElfError {
    fn from(error: object::read::Error) -> Self {
        Self::Damaged(error.to_string())
    }
}

/// Checks that `binary` is an executable for `wanted`, static or dynamic.
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

/// Returns the architecture that a binary is for. Fails if Lambda does not have it.
pub(crate) fn arch_of(binary: &[u8]) -> Result<Arch, ElfError> {
    let header = parse(binary)?;
    let machine = header.e_machine(header.endian()?);
    let known = Arch::ALL.into_iter().find(|&arch| machine_of(arch) == machine);
    known.ok_or_else(|| ElfError::Machine { found: machine_name(machine), wanted: "Lambda" })
}

fn parse(binary: &[u8]) -> Result<&ElfHeader, ElfError> {
    if !binary.starts_with(&elf::ELFMAG) {
        return Err(ElfError::NotElf);
    }
    if binary.get(4) != Some(&elf::ELFCLASS64.0) {
        return Err(ElfError::Not64Bit);
    }
    Ok(ElfHeader::parse(binary)?)
}

/// Checks that `binary` is a static executable for `wanted`.
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
pub(crate) mod tests;
