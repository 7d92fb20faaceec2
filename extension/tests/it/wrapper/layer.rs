//! The wrapper as it is in the layer: what it costs in a cold start, and what is the C library's choice.

use super::{KEY, extension};
use crate::support::{layer::of_another_machine, netns::isolated, rie::unpack, tools::Arch};
use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

const MOST: Duration = Duration::from_millis(1);
const RUNS: usize = 200;
/// On a machine that others work on, minima too take their time.
const ROUNDS: usize = 5;

fn run(words: &[&Path]) -> Duration {
    let mut command = Command::new(words[0]);
    command.args(&words[1..]).env_clear().env("SENTRY_DSN", format!("https://{KEY}@o1.ingest.sentry.io/42"));
    let begun = Instant::now();
    let status = command.status().unwrap();
    let took = begun.elapsed();
    assert!(status.success(), "{status}");
    took
}

/// The unpacked layer, and the wrapper in it.
fn layer() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    unpack(&Arch::NATIVE.layer_zip(), folder.path());
    let wrapper = folder.path().join("sentry-exec-wrapper");
    let target = fs::read_link(&wrapper).expect("no link; an old zip? run ci/build");
    assert_eq!(target, Path::new("extensions/sentry-lambda-extension"));
    (folder, wrapper)
}

#[test]
fn a_runtime_of_another_architecture_is_named() {
    let (folder, wrapper) = layer();
    let foreign = folder.path().join("foreign");
    fs::write(&foreign, of_another_machine("/bin/true")).unwrap();
    fs::set_permissions(&foreign, fs::Permissions::from_mode(0o755)).unwrap();
    let output = Command::new(wrapper).arg(&foreign).output().unwrap();
    assert_eq!(output.status.code(), Some(126), "{output:?}");
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains(&format!("cannot start {}: Exec format error", foreign.display())), "{said}");
}

#[test]
fn less_than_a_millisecond() {
    isolated(|| async {
        let _extension = extension(&[]).await;
        let (_folder, wrapper) = layer();
        let runtime = Path::new("/bin/true");
        let (mut with, mut without) = (Duration::MAX, Duration::MAX);
        for _ in 0..ROUNDS {
            for _ in 0..RUNS {
                without = without.min(run(&[runtime]));
                with = with.min(run(&[&wrapper, runtime]));
            }
            if with < without + MOST {
                break;
            }
        }
        let cost = with.saturating_sub(without);
        eprintln!("wrapper: {cost:?} ({with:?} against {without:?})");
        assert!(cost < MOST, "{cost:?}");
    });
}
