//! Tests the wrapper of the built layer. What happens here depends on the C library that the layer is linked with.

use crate::support::{layer::of_another_machine, rie::unpack, tools::Arch};
use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
};

/// Unpacks the layer, and returns its folder and the wrapper in it.
fn layer() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    unpack(&Arch::NATIVE.layer_zip(), folder.path());
    let wrapper = folder.path().join("sentry-exec-wrapper");
    let target = fs::read_link(&wrapper).expect("no link; an old zip? run ci/build");
    assert_eq!(target, Path::new("extensions/sentry-lambda-extension"));
    (folder, wrapper)
}

#[test]
fn the_error_names_a_runtime_of_another_architecture() {
    let (folder, wrapper) = layer();
    let foreign = folder.path().join("foreign");
    fs::write(&foreign, of_another_machine("/bin/true")).unwrap();
    fs::set_permissions(&foreign, fs::Permissions::from_mode(0o755)).unwrap();
    let output = Command::new(wrapper).arg(&foreign).output().unwrap();
    assert_eq!(output.status.code(), Some(126), "{output:?}");
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains(&format!("cannot start {}: Exec format error", foreign.display())), "{said}");
}
