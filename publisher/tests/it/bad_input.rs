//! Wrong input is reported before anything is done, with what to do about it.

use crate::support::{
    account::Account,
    cli::Publisher,
    dist::{Dist, elf},
    emulator::{free_port, ministack, strict_ministack},
};
use serde_json::json;
use std::{fs, net::TcpListener, time::Duration};

/// Ten times the duration of the slowest of these runs, which waits for a metadata service.
const SOON: Duration = Duration::from_secs(30);

/// A publisher whose endpoint is a closed port. If a command calls AWS, its error message is another one.
fn offline() -> Publisher {
    Publisher::at(&format!("http://127.0.0.1:{}", free_port()), "123456789012")
}

#[test]
fn no_credentials() {
    let dist = Dist::new("none");
    let run = Publisher::new().run(&dist, &["publish"]).expect(1).within(SOON);
    run.says("no AWS credentials").says("AWS_ACCESS_KEY_ID").says("--profile");
}

#[test]
fn a_metadata_service_that_never_answers_does_not_block() {
    let dist = Dist::new("metadata");
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", silent.local_addr().unwrap());
    let publisher = Publisher::new()
        .env("AWS_EC2_METADATA_DISABLED", "false")
        .env("AWS_EC2_METADATA_SERVICE_ENDPOINT", &url);
    publisher.run(&dist, &["publish"]).expect(1).says("no AWS credentials").within(SOON);
    // The service must have got a connection. Otherwise this test would prove nothing.
    silent.set_nonblocking(true).unwrap();
    assert!(silent.accept().is_ok());
}

#[test]
fn an_unknown_profile() {
    let dist = Dist::new("profile");
    for (publisher, args) in [
        (offline(), ["publish", "--profile", "nobody"].as_slice()),
        (Publisher::new().env("AWS_PROFILE", "nobody"), &["publish"]),
    ] {
        let run = publisher.run(&dist, args).expect(1).within(SOON);
        run.says("the profile `nobody` does not exist").says("~/.aws/config");
    }
}

#[test]
fn wrong_credentials() {
    let dist = Dist::new("wrong");
    let publisher = Publisher::at(&strict_ministack().url(), "AKIAIOSFODNN7EXAMPLE");
    for args in [["publish"].as_slice(), &["publish", "--execute"]] {
        let run = publisher.run(&dist, args).expect(1).within(SOON);
        let run = run.says("AWS does not accept these credentials").says("InvalidClientTokenId");
        run.says("renew them");
    }
    assert!(!dist.path().join("layers.json").exists());
}

#[test]
fn an_unreachable_endpoint() {
    let dist = Dist::new("nobody");
    let run = offline().run(&dist, &["publish"]).expect(1).within(SOON);
    run.says("cannot reach AWS at http://127.0.0.1:").says("Connection refused").says("--endpoint-url");
}

#[test]
fn a_folder_without_a_build() {
    let dist = Dist::new("empty");
    for file in dist.files() {
        fs::remove_file(dist.path().join(file)).unwrap();
    }
    offline().run(&dist, &["publish"]).expect(1).says("build.json").says("ci/build");
    assert!(dist.files().is_empty());
}

#[test]
fn a_dist_that_differs_from_its_manifest() {
    let tampered = Dist::new("tampered");
    let mut zip = fs::read(tampered.zip("x86_64")).unwrap();
    *zip.last_mut().unwrap() ^= 1;
    fs::write(tampered.zip("x86_64"), &zip).unwrap();
    let run = offline().run(&tampered, &["publish", "--execute"]).expect(1);
    run.says("x86_64.zip was changed after it was built").says("sha256").says("build.json");

    let longer = Dist::new("longer");
    zip.push(0);
    fs::write(longer.zip("x86_64"), &zip).unwrap();
    offline().run(&longer, &["publish"]).expect(1).says("its size is");

    let sums = Dist::new("sums");
    let text = fs::read_to_string(sums.path().join("SHA256SUMS")).unwrap();
    fs::write(sums.path().join("SHA256SUMS"), text.replace(&text[..8], "00000000")).unwrap();
    offline().run(&sums, &["publish"]).expect(1).says("SHA256SUMS says 00000000");

    let gone = Dist::new("gone");
    fs::remove_file(gone.zip("arm64")).unwrap();
    offline().run(&gone, &["publish"]).expect(1).says("cannot read").says("arm64.zip");

    let half = Dist::new("half");
    half.edit_build(|build| drop(build["artifacts"].as_array_mut().unwrap().pop()));
    offline().run(&half, &["publish"]).expect(1).says("has no x86_64 zip");

    let outside = Dist::new("outside");
    outside.edit_build(|build| build["artifacts"][0]["file"] = json!("../x.zip"));
    offline().run(&outside, &["publish"]).expect(1).says("is not a file's name");

    let schema = Dist::new("schema");
    schema.edit_build(|build| build["schema"] = json!(2));
    offline().run(&schema, &["publish"]).expect(1).says("schema 2");

    let broken = Dist::new("broken");
    fs::write(broken.path().join("build.json"), "{").unwrap();
    offline().run(&broken, &["publish"]).expect(1).says("not a build manifest");
}

#[test]
fn a_zip_that_lambda_would_refuse() {
    let text = Dist::new("text");
    text.repack("arm64", b"#!/bin/sh", 0o755);
    offline()
        .run(&text, &["publish"])
        .expect(1)
        .says("is not a layer for arm64")
        .says("no 64-bit little-endian ELF");
    let wrong = Dist::new("wrong machine");
    wrong.repack("x86_64", &elf("arm64", b""), 0o755);
    offline().run(&wrong, &["publish"]).expect(1).says("a binary for arm64, not a binary for x86_64");
    let mode = Dist::new("mode");
    mode.repack("x86_64", &elf("x86_64", b""), 0o644);
    offline().run(&mode, &["publish"]).expect(1).says("not executable (mode 644)");
    let right = Some("extensions/sentry-lambda-extension");
    for (name, target, says) in [
        (
            "sentry-exec-wrappe",
            right,
            "has to be a link to `extensions/sentry-lambda-extension`, but there is none",
        ),
        ("sentry-exec-wrapper", Some("extensions/sentry-lambda-extension2"), "but it links to"),
        ("sentry-exec-wrapper", None, "but it is a file (mode 100755)"),
    ] {
        let wrapper = Dist::new("wrapper");
        wrapper.replace_wrapper("arm64", name, target);
        offline().run(&wrapper, &["publish"]).expect(1).says(says);
    }
    let huge = Dist::new("huge");
    let file = fs::File::options().write(true).open(huge.zip("arm64")).unwrap();
    file.set_len(250 * 1024 * 1024 + 1).unwrap();
    offline().run(&huge, &["publish"]).expect(1).says("262144001 bytes").says("at most 262144000");
}

#[test]
fn names_that_lambda_would_refuse() {
    let dist = Dist::new("names");
    for (template, says) in [
        ("a b {arch}", "cannot be a layer's name"),
        ("x-{arch}-{version}", "{major}_{minor}_{patch}"),
        ("same", "both architectures"),
        ("{region}-{arch}", "`{region}`, which is not a placeholder"),
        (&("x".repeat(140) + "{arch}"), "longer than 140"),
    ] {
        offline().run(&dist, &["publish", "--layer-name", template]).expect(2).says(says);
    }
}

#[test]
fn a_prerelease_needs_its_option() {
    let dist = Dist::new("prerelease");
    dist.edit_build(|build| build["version"] = json!("1.3.0-rc.1"));
    offline().run(&dist, &["publish"]).expect(2).says("1.3.0-rc.1 is a prerelease").says("--prerelease");
    offline().run(&dist, &["publish", "--prerelease"]).expect(1).says("cannot reach AWS");
}

#[test]
fn wrong_usage() {
    let dist = Dist::new("usage");
    offline().run(&dist, &["publish", "--frobnicate"]).expect(2).says("--frobnicate");
    offline().run(&dist, &["publish", "--regions", "eu-west-1,Mars"]).expect(2).says("Mars");
    offline().run(&dist, &["publish", "--share-with", "12"]).expect(2).says("twelve digits");
    offline().run(&dist, &["publish", "--share-with", "private,123456789012"]).expect(2);
    offline().run(&dist, &["publish", "--share-with", "o-rg"]).expect(2).says("o- and 10 to 32");
    offline().run(&dist, &["publish", "--version-style", "named", "--layer-name", "x"]).expect(2);
    offline().run(&dist, &["prune"]).expect(2).says("--keep");
    offline().run(&dist, &["arn", "--arch", "riscv"]).expect(2).says("x86_64");
}

#[test]
fn a_layers_json_that_would_be_lost_stops_the_run_before_the_first_write() {
    let owner = Account::new(ministack());
    let dist = Dist::new("broken layers");
    let publisher = Publisher::at(&ministack().url(), &owner.key);
    fs::write(dist.path().join("layers.json"), "half a fi").unwrap();
    let run = publisher.run(&dist, &["publish", "--execute", "--regions", "eu-west-1"]).expect(1);
    run.says("layers.json").says("move");
    assert_eq!(fs::read_to_string(dist.path().join("layers.json")).unwrap(), "half a fi");
    assert!(owner.versions("eu-west-1", "SentryLambdaExtension-arm64").is_empty());
}
