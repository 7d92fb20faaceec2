//! `publisher build --relay` reads from the binary which runtimes it can run on.

use crate::{
    build_fixture::{ARM64, Workspace, assert_code, static_elf, stderr, stdout},
    build_relay::{build, entries, manifest, sha256, workspace_with_binaries},
};
use object::{Object, ObjectSection, ObjectSymbol, read::elf::ElfFile64};
use std::{fs, process::Command};

/// The host's `true`, a dynamically linked program, changed so that it needs glibc 2.`minor`.
fn program_needing_glibc(minor: u32) -> Vec<u8> {
    let mut program = fs::read("/bin/true").unwrap();
    let name = b"GLIBC_2.";
    let mut found = false;
    for at in 0..program.len() - name.len() - 2 {
        let digits = at + name.len();
        if program[at..].starts_with(name) && program[digits..digits + 2].iter().all(u8::is_ascii_digit) {
            program[digits..digits + 2].copy_from_slice(minor.to_string().as_bytes());
            found = true;
        }
    }
    assert!(found, "/bin/true needs no glibc version of two digits; see ci/test");
    program
}

/// A program with a section that is loaded although its name is that of a debug section. Programs in Rust have one.
const SOURCE: &str = r#"#include <stdio.h>
__attribute__((section(".debug_gdb_scripts"), used)) static const char text[] = "relay";
int main(void) { puts(text); return 0; }
"#;

fn build_with_relay(workspace: &Workspace, relay: &[u8], more: &[&str]) -> (Option<i32>, String) {
    let path = workspace.path().join("relay-binary");
    fs::write(&path, relay).unwrap();
    let mut command = workspace.with_fake_tools();
    command.args(["build", "--arch", "x86_64", "--relay", path.to_str().unwrap()]).args(more);
    let output = command.output().unwrap();
    (output.status.code(), stderr(&output))
}

#[test]
fn the_needed_glibc_decides_the_compatible_runtimes() {
    let workspace = workspace_with_binaries();
    for (minor, runtimes) in [(17, 21), (26, 21), (27, 13), (34, 13)] {
        let (code, said) = build_with_relay(&workspace, &program_needing_glibc(minor), &[]);
        assert_eq!(code, Some(0), "{said}");
        let relay = manifest(&workspace)["artifacts"][1]["relay"].clone();
        assert_eq!(relay["glibc"], format!("2.{minor}"));
        let list = relay["runtimes"].as_array().unwrap();
        assert_eq!(list.len(), runtimes, "2.{minor}");
        assert!(list.contains(&"provided.al2023".into()));
        assert_eq!(list.contains(&"python3.11".into()), minor <= 26);
    }
    let (code, said) = build_with_relay(&workspace, &program_needing_glibc(35), &[]);
    assert_eq!(code, Some(1));
    assert!(said.contains("needs glibc 2.35") && said.contains("2.34 (Amazon Linux 2023)"), "{said}");
    assert!(!said.contains("Building"), "{said}");
}

#[test]
fn a_binary_for_another_machine_or_c_library_and_an_incomplete_file_are_refused() {
    let workspace = workspace_with_binaries();
    let program = program_needing_glibc(17);
    let replace = |from: &[u8], to: &[u8]| {
        let mut program = program.clone();
        let places: Vec<usize> =
            (0..program.len() - from.len()).filter(|&at| program[at..].starts_with(from)).collect();
        assert!(!places.is_empty());
        for at in places {
            program[at..at + to.len()].copy_from_slice(to);
        }
        program
    };
    for (relay, words) in [
        (static_elf(ARM64.1, 0), "it is for arm64, not for x86_64"),
        (replace(b"/ld-linux-", b"/ld-musl-x"), "interpreter /lib64/ld-musl-x"),
        (program[..program.len() - 10].to_vec(), "cut off"),
        (program[..program.len() / 2].to_vec(), "cut off"),
        (b"#!/bin/sh\n".to_vec(), "not an ELF file"),
    ] {
        let (code, said) = build_with_relay(&workspace, &relay, &[]);
        assert_eq!(code, Some(1), "{said}");
        assert!(said.contains(words), "{words}: {said}");
    }
    assert!(!workspace.path().join("dist/build.json").exists());

    let (code, said) = build_with_relay(&workspace, &replace(b"libc.so.6", b"libq.so.6"), &[]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("needs libq.so.6, which not every runtime has"), "{said}");
}

#[test]
fn a_zip_too_large_for_a_request_is_reported() {
    let workspace = workspace_with_binaries();
    // A small random generator makes bytes that deflate cannot compress.
    let mut state = 1u64;
    let mut random = static_elf(62, 0);
    while random.len() < 51 * 1024 * 1024 {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        random.extend(state.to_le_bytes());
    }
    let (code, said) = build_with_relay(&workspace, &random, &[]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("Lambda takes a layer only through S3"), "{said}");

    let path = workspace.path().join("relay-binary");
    fs::File::options().append(true).open(&path).unwrap().set_len(250 * 1024 * 1024).unwrap();
    let output =
        workspace.with_fake_tools().args(["build", "--arch", "x86_64", "--relay"]).arg(&path).output();
    let output = output.unwrap();
    assert_code(&output, 1);
    assert!(stderr(&output).contains("bytes unpacked"), "{}", stderr(&output));
}

#[test]
fn debug_sections_are_removed_and_the_program_still_runs() {
    let workspace = workspace_with_binaries();
    let source = workspace.file("relay.c", SOURCE);
    let binary = workspace.path().join("relay-with-debug");
    let cc = Command::new("cc").arg("-g").arg("-o").arg(&binary).arg(source).output();
    assert_code(&cc.unwrap_or_else(|error| panic!("there is no C compiler ({error}); see ci/test")), 0);
    let before = fs::read(&binary).unwrap();

    let said = build(&workspace, &["--relay", binary.to_str().unwrap()]);
    assert!(said.contains("Stripped"), "{said}");
    let dist = workspace.path().join("dist/sentry-lambda-extension-relay-x86_64.zip");
    let stripped = entries(&dist)[1].2.clone();
    assert!(stripped.len() < before.len());
    let file: ElfFile64<'_> = ElfFile64::parse(stripped.as_slice()).unwrap();
    assert!(file.sections().all(|section| !section.name().unwrap().starts_with(".debug_info")));
    assert!(file.section_by_name(".debug_gdb_scripts").is_some(), "a section that is loaded must stay");
    assert!(file.symbols().any(|symbol| symbol.name() == Ok("main")), "symbols must stay, for back-traces");
    let place = workspace.script("run", "");
    fs::write(&place, &stripped).unwrap();
    assert_eq!(stdout(&Command::new(&place).output().unwrap()), "relay\n");
    let relay = &manifest(&workspace)["artifacts"].as_array().unwrap().last().unwrap()["relay"].clone();
    assert_eq!(relay["sha256"], sha256(&stripped));
    assert_eq!(relay["source_sha256"], sha256(&before));

    build(&workspace, &["--keep-debug", "--relay", binary.to_str().unwrap()]);
    assert_eq!(entries(&dist)[1].2, before);
}
