//! Tests arguments and program names that are not valid text.

use crate::support::extension::BINARY;
use std::{
    ffi::OsStr,
    os::unix::{ffi::OsStrExt, process::CommandExt},
    process::Command,
};

#[test]
fn an_argument_that_is_not_unicode_is_refused_like_any_other() {
    let invalid = OsStr::from_bytes(b"\xff\xfe");
    for before in [&[][..], &["--standalone"], &["--standalone", "--upstream"], &["--standalone", "--listen"]]
    {
        let output = Command::new(BINARY).env_clear().args(before).arg(invalid).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{before:?}: {said}");
        assert!(said.contains("not valid UTF-8"), "{before:?}: {said}");
    }
    // The option and its value are one argument.
    let word = OsStr::from_bytes(b"--upstream=http://sentry.example.com/\xff");
    let output = Command::new(BINARY).env_clear().arg("--standalone").arg(word).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn a_name_that_is_not_unicode_is_no_panic() {
    let output = Command::new(BINARY).arg0(OsStr::from_bytes(b"\xff")).arg("--version").output().unwrap();
    assert!(output.status.success());
}
