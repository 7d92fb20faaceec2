//! The runtime must not differ from one without the wrapper: arguments, process, signals, files, exit code. If there
//! is no runtime, an error says so.

use super::{Wrapper, split};
use std::{
    ffi::{OsStr, OsString},
    fs,
    os::unix::{ffi::OsStrExt, process::ExitStatusExt},
    process::{Command, Output, Stdio},
};

const DSN: &str = "https://5b0ff8a1e2c94d7fb7a3c1d2e4f60718@o1.ingest.sentry.io/42";

fn run(words: &[&OsStr]) -> Output {
    Wrapper::new().command().env("SENTRY_DSN", DSN).args(words).output().unwrap()
}

fn sh(script: &str) -> Output {
    run(&["/bin/sh", "-c", script].map(OsStr::new))
}

#[test]
fn passes_arguments_of_any_bytes() {
    let odd = [&b""[..], b"a b", b"--help", b"-", b"\xff\xfe", b"'\"$x\n"].map(OsStr::from_bytes);
    let words = [&["/usr/bin/printf", "%s|"].map(OsStr::new)[..], &odd].concat();
    let output = run(&words);
    assert_eq!(output.stdout, b"|a b|--help|-|\xff\xfe|'\"$x\n|");
    assert!(output.stderr.is_empty());
}

#[test]
fn keeps_exit_codes_and_signals() {
    for code in [0, 1, 42, 255] {
        assert_eq!(sh(&format!("exit {code}")).status.code(), Some(code));
    }
    assert_eq!(sh("kill -TERM $$").status.signal(), Some(15));
    assert_eq!(sh("kill -KILL $$").status.signal(), Some(9));
}

#[test]
fn the_runtime_keeps_the_process_id() {
    let child = Wrapper::new()
        .command()
        .env("SENTRY_DSN", DSN)
        .args(["/bin/sh", "-c", "echo $$"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let pid = child.id();
    assert_eq!(String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap(), format!("{pid}\n"));
}

/// Compares open files, masked and ignored signals, and limits, as the runtime gets them.
#[test]
fn the_runtime_gets_the_same_process_state() {
    let script = "grep -E '^(Sig[BIC]|Cap|NoNewPrivs|Seccomp:)' /proc/self/status; \
        cat /proc/self/limits; ls /proc/self/fd; pwd; umask";
    let with = sh(script).stdout;
    let without =
        Command::new("/bin/sh").args(["-c", script]).env_clear().env("SENTRY_DSN", DSN).output().unwrap();
    assert_eq!(String::from_utf8(with).unwrap(), String::from_utf8(without.stdout).unwrap());
}

#[test]
fn a_program_name_is_looked_up_in_path() {
    let wrapper = Wrapper::new();
    let output = wrapper.command().env("PATH", "/nowhere:/bin").args(["echo", "found"]).output().unwrap();
    assert_eq!(split(&output).1, b"found\n");
}

#[test]
fn the_error_names_a_program_that_cannot_be_started() {
    let wrapper = Wrapper::new();
    let plain = wrapper.folder().join("plain");
    fs::write(&plain, "text").unwrap();
    let cases: [(OsString, i32, &str); 3] = [
        ("/no/such/runtime".into(), 127, "No such file or directory"),
        (plain.into(), 126, "Permission denied"),
        (wrapper.folder().into(), 126, "Permission denied"),
    ];
    for (program, code, why) in cases {
        let output = wrapper.command().env("SENTRY_DSN", DSN).arg(&program).output().unwrap();
        assert_eq!(output.status.code(), Some(code), "{output:?}");
        let said = String::from_utf8(output.stderr).unwrap();
        let start = format!("sentry-exec-wrapper: cannot start {}: {why}", program.display());
        assert!(said.starts_with(&start), "{said}");
    }
}

#[test]
fn fails_without_a_program() {
    let output = Wrapper::new().command().output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("sentry-exec-wrapper PROGRAM"), "{said}");
}
