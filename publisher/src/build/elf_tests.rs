//! Tests with handmade ELF headers, each with one fault.

use super::*;

const PT_LOAD: u32 = 1;
const PT_DYNAMIC: u32 = 2;
const PT_INTERP: u32 = 3;

/// A 64-bit little-endian ELF of one segment whose data is `body`.
pub(crate) fn elf_file(kind: u16, machine: u16, entry: u64, segment: u32, body: &[u8]) -> Vec<u8> {
    let mut file = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
    file.extend(kind.to_le_bytes());
    file.extend(machine.to_le_bytes());
    file.extend(1u32.to_le_bytes());
    for word in [entry, 64, 0] {
        file.extend(word.to_le_bytes()); // entry, program headers, section headers
    }
    file.extend(0u32.to_le_bytes());
    for half in [64u16, 56, 1, 64, 0, 0] {
        file.extend(half.to_le_bytes());
    }
    file.extend(segment.to_le_bytes());
    file.extend(4u32.to_le_bytes());
    for word in [120, 0, 0, body.len() as u64, body.len() as u64, 8] {
        file.extend(word.to_le_bytes());
    }
    file.extend(body);
    file
}

fn dynamic(tags: &[u64]) -> Vec<u8> {
    tags.iter().flat_map(|tag| [tag.to_le_bytes(), 1u64.to_le_bytes()]).flatten().collect()
}

#[test]
fn static_executables_of_both_machines_pass() {
    assert_eq!(check(&elf_file(2, 62, 64, PT_LOAD, b""), Arch::X86_64), Ok(()));
    assert_eq!(check(&elf_file(2, 183, 64, PT_LOAD, b""), Arch::Arm64), Ok(()));
}

#[test]
fn a_static_position_independent_executable_passes() {
    let (debug, null) = (21, 0);
    assert_eq!(check(&elf_file(3, 62, 64, PT_DYNAMIC, &dynamic(&[debug, null])), Arch::X86_64), Ok(()));
}

#[test]
fn the_other_machine_is_named() {
    let error = check(&elf_file(2, 183, 64, PT_LOAD, b""), Arch::X86_64).unwrap_err();
    assert_eq!(error.to_string(), "it is for arm64, not for x86_64");
    let error = check(&elf_file(2, 243, 64, PT_LOAD, b""), Arch::Arm64).unwrap_err();
    assert_eq!(error.to_string(), "it is for machine 243, not for arm64");
}

#[test]
fn an_interpreter_is_refused_by_name() {
    let file = elf_file(3, 62, 64, PT_INTERP, b"/lib64/ld-linux-x86-64.so.2\0");
    assert_eq!(check(&file, Arch::X86_64), Err(ElfError::Interpreter("/lib64/ld-linux-x86-64.so.2".into())));
}

#[test]
fn needed_libraries_are_refused() {
    let file = elf_file(3, 62, 64, PT_DYNAMIC, &dynamic(&[1, 1, 0]));
    assert_eq!(check(&file, Arch::X86_64), Err(ElfError::Libraries(2)));
}

#[test]
fn objects_and_libraries_are_refused() {
    assert_eq!(check(&elf_file(1, 62, 64, PT_LOAD, b""), Arch::X86_64), Err(ElfError::NotExecutable));
    assert_eq!(check(&elf_file(3, 62, 0, PT_LOAD, b""), Arch::X86_64), Err(ElfError::NotExecutable));
}

#[test]
fn files_that_are_not_64_bit_elf_are_refused() {
    assert_eq!(check(b"", Arch::X86_64), Err(ElfError::NotElf));
    assert_eq!(check(b"#!/bin/sh\n", Arch::X86_64), Err(ElfError::NotElf));
    let mut file = elf_file(2, 62, 64, PT_LOAD, b"");
    file[4] = 1;
    assert_eq!(check(&file, Arch::X86_64), Err(ElfError::Not64Bit));
}

#[test]
fn a_file_cut_off_anywhere_is_refused_without_a_panic() {
    let file = elf_file(3, 62, 64, PT_INTERP, b"/lib64/ld-linux-x86-64.so.2\0");
    for length in 0..file.len() {
        assert!(check(&file[..length], Arch::X86_64).is_err(), "cut at {length}");
    }
}
