//! Whoever reads the output may stop early, as `head` does. That is no error, and no reason to leave work half done.

use crate::{
    build_publisher,
    support::{account::Account, cli::Publisher, dist::Dist, emulator::ministack},
};
use std::{
    ffi::OsStr,
    fs::File,
    io,
    process::{Output, Stdio},
};

/// The writing end of a pipe that nobody reads any more.
fn closed() -> Stdio {
    let (reader, writer) = io::pipe().unwrap();
    drop(reader);
    writer.into()
}

/// Runs a command whose output goes to `stdout` and `stderr`.
fn run(publisher: &Publisher, args: &[&str], stdout: Stdio, stderr: Stdio) -> Output {
    let mut command = publisher.command(OsStr::new(env!("CARGO_BIN_EXE_publisher")));
    command.args(args).stdout(stdout).stderr(stderr).output().unwrap()
}

/// A folder with a release in one region.
fn released() -> Dist {
    let dist = Dist::new("closed pipe");
    let layers = build_publisher::layers("1.2.3");
    std::fs::write(dist.path().join("layers.json"), layers.to_string()).unwrap();
    dist
}

#[test]
fn a_command_whose_output_nobody_reads_ends_as_it_would_otherwise_and_says_nothing_of_it() {
    let dist = released();
    let folder = dist.path().to_str().unwrap();
    let publisher = Publisher::new();
    let commands: [&[&str]; 14] = [
        &["--help"],
        &["--version"],
        &["publish", "--help"],
        &["arn", "--dist", folder],
        &["arn", "--dist", folder, "--json"],
        &["arn", "--dist", folder, "--format", "terraform"],
        &["arn", "--dist", folder, "--region", "us-east-1"],
        &["completions", "bash"],
        &["man"],
        &["doctor"],
        &["doctor", "--json"],
        &["iam-policy", "publish", "--account", "123456789012"],
        // Those end with an error, in their own words.
        &["publish", "--dist", folder, "--regions", "eu-west-1"],
        &["no-such-command"],
    ];
    for args in commands {
        let read = run(&publisher, args, Stdio::piped(), Stdio::piped());
        let cut = run(&publisher, args, closed(), Stdio::piped());
        assert_eq!(cut.status, read.status, "{args:?}");
        assert_eq!(String::from_utf8_lossy(&cut.stderr), String::from_utf8_lossy(&read.stderr), "{args:?}");
        let silent = run(&publisher, args, closed(), closed());
        assert_eq!(silent.status, read.status, "{args:?}, with stderr closed too");
    }
}

#[test]
fn what_has_begun_is_finished_although_nobody_reads_about_it() {
    let owner = Account::new(ministack());
    let publisher = Publisher::at(&ministack().url(), &owner.key);
    for json in [false, true] {
        let dist = Dist::new(if json { "nobody reads JSON" } else { "nobody reads" });
        let regions = "eu-west-1,us-east-1";
        let mut args =
            vec!["publish", "--dist", dist.path().to_str().unwrap(), "--regions", regions, "--execute"];
        args.extend(json.then_some("--json"));
        let output = run(&publisher, &args, closed(), closed());
        assert_eq!(output.status.code(), Some(0));
        publisher.run(&dist, &["publish", "--regions", regions]).expect(0).says("nothing to do");
        publisher.run(&dist, &["verify"]).expect(0);
    }
}

#[test]
fn a_result_that_cannot_be_written_for_another_reason_is_an_error() {
    let dist = released();
    let full = File::options().write(true).open("/dev/full").unwrap();
    let args = ["arn", "--dist", dist.path().to_str().unwrap()];
    let output = run(&Publisher::new(), &args, full.into(), Stdio::piped());
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.starts_with("error: cannot write the result: No space left on device"), "{said}");
}
