//! Tests that a runtime started by the wrapper does not differ from one without it: arguments, process, signals, files,
//! exit code. If the runtime cannot be started, an error says so.

use super::{Wrapper, extension, split};
use crate::support::{HANG, netns::isolated};
use std::{
    ffi::{OsStr, OsString},
    fs,
    io::Write,
    os::unix::{ffi::OsStrExt, process::ExitStatusExt},
    process::{Command, Output, Stdio},
    time::{Duration, Instant},
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
    isolated(|| async {
        let _extension = extension(&[]).await;
        let odd = [&b""[..], b"a b", b"--help", b"-", b"\xff\xfe", b"'\"$x\n"].map(OsStr::from_bytes);
        let words = [&["/usr/bin/printf", "%s|"].map(OsStr::new)[..], &odd].concat();
        let output = run(&words);
        assert_eq!(output.stdout, b"|a b|--help|-|\xff\xfe|'\"$x\n|");
        assert!(output.stderr.is_empty());
    });
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
    isolated(|| async {
        let _extension = extension(&[]).await;
        let child = Wrapper::new()
            .command()
            .env("SENTRY_DSN", DSN)
            .args(["/bin/sh", "-c", "echo $$"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let pid = child.id();
        assert_eq!(String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap(), format!("{pid}\n"));
    });
}

/// Compares open files, masked and ignored signals, and limits, as the runtime gets them.
#[test]
fn the_runtime_gets_the_same_process_state() {
    isolated(|| async {
        let _extension = extension(&[]).await;
        let script = "grep -E '^(Sig[BIC]|Cap|NoNewPrivs|Seccomp:)' /proc/self/status; \
            cat /proc/self/limits; ls /proc/self/fd; pwd; umask";
        let with = sh(script).stdout;
        let without =
            Command::new("/bin/sh").args(["-c", script]).env_clear().env("SENTRY_DSN", DSN).output().unwrap();
        assert_eq!(String::from_utf8(with).unwrap(), String::from_utf8(without.stdout).unwrap());
    });
}

#[test]
fn the_state_is_the_same_after_a_warning() {
    let script = "grep -E '^Sig[BIC]' /proc/self/status; ls /proc/self/fd";
    let with = Wrapper::new().command().args(["/bin/sh", "-c", script]).output().unwrap();
    let without = Command::new("/bin/sh").args(["-c", script]).env_clear().output().unwrap();
    let (lines, rest) = split(&with);
    assert_eq!(lines.len(), 1);
    assert_eq!(String::from_utf8(rest).unwrap(), String::from_utf8(without.stdout).unwrap());
}

#[test]
fn the_runtime_starts_although_stdout_is_full() {
    let (reader, mut writer) = std::io::pipe().unwrap();
    // Nobody reads the pipe, and it is full. So the warning is lost, and the runtime starts.
    writer.write_all(&vec![b'x'; 65536]).unwrap();
    let wrapper = Wrapper::new();
    let done = wrapper.folder().join("done");
    let mut child = wrapper.command().args(["/usr/bin/touch"]).arg(&done).stdout(writer).spawn().unwrap();
    let deadline = Instant::now() + HANG;
    while child.try_wait().unwrap().is_none() {
        assert!(Instant::now() < deadline, "the wrapper waits for a reader");
        std::thread::sleep(Duration::from_millis(5));
    }
    drop(reader);
    assert!(done.exists());
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
