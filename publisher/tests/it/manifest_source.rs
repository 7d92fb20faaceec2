//! `--manifest URL|FILE`, `--dist` and neither: where `arn` and `attach` find the list of layers.

use crate::support::{
    account::Account,
    cli::{Publisher, Run},
    dist::Dist,
    emulator::ministack,
    function::Function,
    registry::{Registry, answer, full_response},
};
use serde_json::json;
use std::{ffi::OsStr, fs, path::Path};

/// A folder with published layers, and their owner.
fn published(seed: &str) -> (Account, Dist) {
    let owner = Account::new(ministack());
    let dist = Dist::new(seed);
    let args = ["publish", "--execute", "--regions", "eu-west-1"];
    Publisher::at(&ministack().url(), &owner.key).run(&dist, &args).expect(0);
    (owner, dist)
}

fn layers_file(dist: &Dist) -> String {
    dist.path().join("layers.json").to_str().unwrap().to_owned()
}

fn arn_of(owner: &Account, arch: &str) -> String {
    format!("arn:aws:lambda:eu-west-1:{}:layer:SentryLambdaExtension-{arch}:1\n", owner.key)
}

/// Runs a command in a folder.
fn run_in(folder: &Path, publisher: &Publisher, args: &[&str]) -> Run {
    let mut command = publisher.command(OsStr::new(env!("CARGO_BIN_EXE_publisher")));
    let output = command.args(args).current_dir(folder).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    let (stdout, stderr) = (text(output.stdout), text(output.stderr));
    Run { code: output.status.code(), stdout, stderr, took: std::time::Duration::ZERO }
}

#[test]
fn a_file_and_a_url_serve_like_a_folder() {
    let (owner, dist) = published("sources");
    let file = layers_file(&dist);
    let content = fs::read(&file).unwrap();
    let server = Registry::new(move |request| {
        // The first answer of a busy server is no reason to give up.
        if request.nth == 0 {
            answer("503 Service Unavailable", "", b"later")
        } else {
            full_response(&content)
        }
    });
    let url = format!("{}/files/layers.json", server.url());
    for source in [file.as_str(), &url] {
        let run = Publisher::new().run_bare(&["arn", "--manifest", source, "--arch", "arm64"]).expect(0);
        assert_eq!(run.stdout, arn_of(&owner, "arm64"), "{source}");
    }
    assert_eq!(server.requests("layers.json").len(), 2);

    let function = Function::new(&owner, "eu-west-1", "by-url", &json!({}));
    let publisher = Publisher::at(&ministack().url(), &owner.key);
    let args = ["attach", "by-url", "--regions", "eu-west-1", "--manifest", &url, "--execute"];
    publisher.run_bare(&args).expect(0);
    assert_eq!(function.layers(), [arn_of(&owner, "x86_64").trim()]);
}

#[test]
fn what_is_no_list_is_refused_with_its_reason() {
    let server = Registry::new(|request| match request.path.as_str() {
        "/files/page" => full_response(b"<html>sign in</html>"),
        "/files/huge" => full_response(&vec![b' '; 5 << 20]),
        _ => answer("404 Not Found", "", b""),
    });
    let url = |name: &str| format!("{}/files/{name}", server.url());
    let run = |source: &str| Publisher::new().run_bare(&["arn", "--manifest", source]);
    run(&url("page")).expect(1).says("not a manifest of published layers").says("--manifest URL|FILE");
    run(&url("huge")).expect(1).says("cannot download");
    run(&url("none")).expect(1).says("the server answered 404").says("layers.json of a release");
    run("http://layers.example.com/layers.json").expect(1).says("has no TLS");
    run("no-such-file.json").expect(1).says("there is no no-such-file.json").says("--manifest URL|FILE");
    Publisher::new().run_bare(&["arn", "--manifest", "a.json", "--dist", "dist"]).expect(2);
}

#[test]
fn a_publisher_from_source_says_that_it_has_no_layers_inside() {
    let empty = tempfile::tempdir().unwrap();
    let publisher = Publisher::at(&ministack().url(), &Account::new(ministack()).key);
    let arn = run_in(empty.path(), &publisher, &["arn"]).expect(1).says("there is no dist/layers.json");
    arn.says("built from source and has no layers inside").says("--manifest URL|FILE");
    run_in(empty.path(), &publisher, &["attach", "f", "--regions", "eu-west-1"])
        .expect(1)
        .says("built from source");
    let version = publisher.run_bare(&["--version"]).expect(0);
    let expected =
        format!("publisher {} (built from source, without layers inside)\n", env!("CARGO_PKG_VERSION"));
    assert_eq!(version.stdout, expected);
}

#[test]
fn the_state_of_many_functions_is_in_the_current_folder_if_the_list_is_in_none() {
    let (owner, dist) = published("state");
    Function::new(&owner, "eu-west-1", "orders-1", &json!({}));
    let here = tempfile::tempdir().unwrap();
    let publisher = Publisher::at(&ministack().url(), &owner.key);
    let file = layers_file(&dist);
    let args = [
        "attach",
        "--match",
        "orders-*",
        "--regions",
        "eu-west-1",
        "--manifest",
        &file,
        "--execute",
        "--json",
    ];
    let report = run_in(here.path(), &publisher, &args).expect(0).json();
    let state = report["state"].as_str().unwrap();
    assert!(here.path().join(state).is_file() && !state.contains('/'), "{state}");
    run_in(here.path(), &publisher, &["attach", "--undo", state, "--execute"]).expect(0);
}
