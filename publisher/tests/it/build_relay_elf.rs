//! `publisher build --relay`: what the binary asks for decides where it may go.

use crate::{
    build_fixture::{ARM64, Workspace, assert_code, static_elf, stderr, stdout},
    build_relay::{build, entries, manifest, pretended, sha256},
};
use object::{Object, ObjectSection, ObjectSymbol, read::elf::ElfFile64};
use std::{fs, process::Command};

/// The host's `true` (a dynamically linked program), its newest glibc versions replaced by this one.
fn needing(minor: u32) -> Vec<u8> {
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
    assert!(found, "/bin/true asks for no glibc of two digits: see ci/test");
    program
}

/// With a section that is loaded although it is named like one for debuggers, as programs in Rust have one.
const SOURCE: &str = r#"#include <stdio.h>
__attribute__((section(".debug_gdb_scripts"), used)) static const char text[] = "relay";
int main(void) { puts(text); return 0; }
"#;

fn pack(workspace: &Workspace, relay: &[u8], more: &[&str]) -> (Option<i32>, String) {
    let path = workspace.path().join("relay-binary");
    fs::write(&path, relay).unwrap();
    let mut command = workspace.pretending();
    command.args(["build", "--arch", "x86_64", "--relay", path.to_str().unwrap()]).args(more);
    let output = command.output().unwrap();
    (output.status.code(), stderr(&output))
}

#[test]
fn glibc_decides_about_the_runtimes() {
    let workspace = pretended();
    for (minor, runtimes) in [(17, 21), (26, 21), (27, 13), (34, 13)] {
        let (code, said) = pack(&workspace, &needing(minor), &[]);
        assert_eq!(code, Some(0), "{said}");
        let relay = manifest(&workspace)["artifacts"][1]["relay"].clone();
        assert_eq!(relay["glibc"], format!("2.{minor}"));
        let list = relay["runtimes"].as_array().unwrap();
        assert_eq!(list.len(), runtimes, "2.{minor}");
        assert!(list.contains(&"provided.al2023".into()));
        assert_eq!(list.contains(&"python3.11".into()), minor <= 26);
    }
    let (code, said) = pack(&workspace, &needing(35), &[]);
    assert_eq!(code, Some(1));
    assert!(said.contains("needs glibc 2.35") && said.contains("2.34 (Amazon Linux 2023)"), "{said}");
    assert!(!said.contains("Building"), "{said}");
}

#[test]
fn another_machine_another_c_library_and_a_cut_off_file_are_refused() {
    let workspace = pretended();
    let program = needing(17);
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
        let (code, said) = pack(&workspace, &relay, &[]);
        assert_eq!(code, Some(1), "{said}");
        assert!(said.contains(words), "{words}: {said}");
    }
    assert!(!workspace.path().join("dist/build.json").exists());

    let (code, said) = pack(&workspace, &replace(b"libc.so.6", b"libq.so.6"), &[]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("needs libq.so.6, which not every runtime has"), "{said}");
}

#[test]
fn a_zip_too_large_for_a_request_is_said_to_be() {
    let workspace = pretended();
    // What deflate cannot make smaller: the output of a small generator.
    let mut state = 1u64;
    let mut random = static_elf(62, 0);
    while random.len() < 51 * 1024 * 1024 {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        random.extend(state.to_le_bytes());
    }
    let (code, said) = pack(&workspace, &random, &[]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("Lambda takes a layer only through S3"), "{said}");

    let path = workspace.path().join("relay-binary");
    fs::File::options().append(true).open(&path).unwrap().set_len(250 * 1024 * 1024).unwrap();
    let output = workspace.pretending().args(["build", "--arch", "x86_64", "--relay"]).arg(&path).output();
    let output = output.unwrap();
    assert_code(&output, 1);
    assert!(stderr(&output).contains("bytes unpacked"), "{}", stderr(&output));
}

#[test]
fn debug_sections_go_and_the_program_still_runs() {
    let workspace = pretended();
    let source = workspace.file("relay.c", SOURCE);
    let binary = workspace.path().join("relay-with-debug");
    let cc = Command::new("cc").arg("-g").arg("-o").arg(&binary).arg(source).output();
    assert_code(&cc.unwrap_or_else(|error| panic!("no C compiler ({error}): see ci/test")), 0);
    let before = fs::read(&binary).unwrap();

    let said = build(&workspace, &["--relay", binary.to_str().unwrap()]);
    assert!(said.contains("Stripped"), "{said}");
    let dist = workspace.path().join("dist/sentry-lambda-extension-relay-x86_64.zip");
    let stripped = entries(&dist)[1].2.clone();
    assert!(stripped.len() < before.len());
    let file: ElfFile64<'_> = ElfFile64::parse(stripped.as_slice()).unwrap();
    assert!(file.sections().all(|section| !section.name().unwrap().starts_with(".debug_info")));
    assert!(file.section_by_name(".debug_gdb_scripts").is_some(), "it is part of what is loaded");
    assert!(file.symbols().any(|symbol| symbol.name() == Ok("main")), "symbols stay, for back-traces");
    let place = workspace.script("run", "");
    fs::write(&place, &stripped).unwrap();
    assert_eq!(stdout(&Command::new(&place).output().unwrap()), "relay\n");
    let relay = &manifest(&workspace)["artifacts"].as_array().unwrap().last().unwrap()["relay"].clone();
    assert_eq!(relay["sha256"], sha256(&stripped));
    assert_eq!(relay["source_sha256"], sha256(&before));

    build(&workspace, &["--keep-debug", "--relay", binary.to_str().unwrap()]);
    assert_eq!(entries(&dist)[1].2, before);
}
