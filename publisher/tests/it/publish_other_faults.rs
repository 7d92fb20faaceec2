//! Layers that are not the extension's: what is refused, runs that are killed, and two runs at the same time.

use crate::support::{
    account::Account,
    cli::Publisher,
    emulator::{free_port, ministack},
    gate::Gate,
    other_layer::{OtherLayer, run, zip_of, zip_with_link},
    proxy::{Proxy, Verdict},
};
use std::fs;

const EXECUTE: [&str; 3] = ["--execute", "--regions", "eu-west-1"];

/// A publisher whose endpoint is a closed port. If a command calls AWS, its error message is another one.
fn offline() -> Publisher {
    Publisher::at(&format!("http://127.0.0.1:{}", free_port()), "123456789012")
}

#[test]
fn a_zip_that_cannot_be_a_layer_is_refused_before_any_request() {
    let layer = OtherLayer::new("bad");
    let good = fs::read(layer.path().join("layer.zip")).unwrap();
    let cases: [(&str, Vec<u8>, &str); 6] = [
        ("text.zip", b"#!/bin/sh".to_vec(), "is not a zip that can be read"),
        ("half.zip", good[..good.len() - 30].to_vec(), "is not a zip that can be read"),
        ("escape.zip", zip_of(&[("../../etc/cron.d/x", b"")]), "leads out of its folder"),
        ("absolute.zip", zip_of(&[("/etc/passwd", b"")]), "has an absolute path"),
        ("link.zip", zip_with_link("python/link", "/etc/passwd"), "is a link to `/etc/passwd`"),
        ("empty.zip", zip_of(&[]), "it has no files"),
    ];
    for (name, content, says) in cases {
        layer.write(name, &content);
        let args = layer.args(&[&layer.file(name)], "TeamSdk", &EXECUTE);
        run(&offline(), &args).expect(1).says(&format!("{name} cannot be a layer")).says(says);
    }
    run(&offline(), &layer.args(&[&layer.file("none.zip")], "TeamSdk", &EXECUTE))
        .expect(1)
        .says("cannot read");

    let huge = fs::File::create(layer.path().join("huge.zip")).unwrap();
    huge.set_len(250 * 1024 * 1024 + 1).unwrap();
    let args = layer.args(&[&layer.file("huge.zip")], "TeamSdk", &EXECUTE);
    run(&offline(), &args).expect(1).says("has 262144001 bytes");
    layer.write("large.zip", &zip_of(&[("file", &vec![7; 53 << 20])]));
    let args = layer.args(&[&layer.file("large.zip")], "TeamSdk", &EXECUTE);
    run(&offline(), &args).expect(1).says("at most 52428800 in the request").says("--s3-bucket");
    assert!(!layer.dist().exists(), "something was written");
}

#[test]
fn wrong_usage_is_explained() {
    let layer = OtherLayer::new("usage");
    let zip = layer.file("layer.zip");
    let (arm64, x86_64) = (format!("arm64={zip}"), format!("x86_64={zip}"));
    let long = "x".repeat(513);
    let runtimes: Vec<String> = (0..16).map(|n| format!("python3.{n}")).collect();
    let runtimes = runtimes.join(",");
    let cases: [(&[&str], &str, &[&str], &str); 13] = [
        (&[&zip], "Team {arch}", &[], "one for both architectures"),
        (&[&zip], "Team Sdk", &[], "cannot be a layer's name"),
        (&[&zip], "Team-{version}", &[], "{major}_{minor}_{patch}"),
        (&[&zip], "Team-{region}", &[], "`{region}`, which is not a placeholder"),
        (&[&arm64, &x86_64], "Team", &[], "both architectures"),
        (&[&arm64, &arm64], "Team-{arch}", &[], "one file for both architectures, or one file for each"),
        (&[&zip, &arm64], "Team-{arch}", &[], "one file for both architectures, or one file for each"),
        (&[&zip], "Team", &["--release", "2.1"], "three numbers"),
        (&[&zip], "Team", &["--release", "2.1.0-rc.1"], "--prerelease"),
        (&[&zip], "Team", &["--runtimes", "Python 3"], "a runtime is named like"),
        (&[&zip], "Team", &["--runtimes", &runtimes], "names 16 runtimes"),
        (&[&zip], "Team", &["--canonical", "team"], "aws-layer:python"),
        (&[&arm64, &x86_64], "Team-{arch}", &["--canonical", "aws-layer:team"], "both architectures' layers"),
    ];
    for (zips, template, more, says) in cases {
        run(&offline(), &layer.args(zips, template, more)).expect(2).says(says);
    }
    let mut args = layer.args(&[&zip], "Team", &[]);
    let at = args.iter().position(|arg| arg == "--license").unwrap();
    args[at + 1] = long;
    run(&offline(), &args).expect(2).says("at most 512 characters, and this one has 513");
    args.drain(at..at + 2);
    run(&offline(), &args).expect(2).says("--license");

    let without_folder =
        ["publish", "--zip", &zip, "--layer-name", "Team", "--license", "MIT", "--release", "1.0.0"];
    offline().run_bare(&without_folder).expect(2).says("--dist");
    run(&offline(), &layer.args(&[&zip], "Team", &["--kind", "plain"])).expect(2).says("--kind");
    offline().run_bare(&["publish", "--license", "MIT"]).expect(2).says("--zip");
    assert!(!layer.dist().exists(), "something was written");
}

#[test]
fn a_killed_run_is_resumed_without_a_second_version() {
    for answered in [false, true] {
        let owner = Account::new(ministack());
        let layer = OtherLayer::new(&format!("killed {answered}"));
        let gate = Gate::default();
        let hold = gate.clone();
        let proxy = Proxy::start(ministack().address(), move |seen| match seen.publishes() {
            true if answered => Verdict::HoldAnswer(hold.clone()),
            true => Verdict::Hold(hold.clone()),
            false => Verdict::Forward,
        });
        let args = layer.args(&[&layer.file("layer.zip")], "TeamSdk", &EXECUTE);
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let running = Publisher::at(&proxy.url(), &owner.key).spawn_bare(&args);
        gate.reached();
        running.kill();
        gate.open(false);
        let journal = fs::read_dir(layer.dist()).unwrap().map(|entry| entry.unwrap().path());
        let journal = journal.into_iter().find(|path| path.extension().is_some_and(|it| it == "journal"));
        let text = fs::read_to_string(journal.unwrap()).unwrap();
        let last = text.lines().last().unwrap();
        assert!(last.contains(r#""arch":"both""#) && last.contains(r#""state":"publishing""#), "{last}");

        let publisher = Publisher::at(&ministack().url(), &owner.key);
        let state = if answered { "1 granted" } else { "1 published" };
        publisher.run_bare(&args).expect(0).says(state);
        assert_eq!(owner.versions("eu-west-1", "TeamSdk"), [1]);
        layer.run(&publisher, &["verify"]).expect(0);
    }
}

#[test]
fn two_machines_agree_on_one_version_and_one_folder_takes_one_run() {
    let owner = Account::new(ministack());
    let gate = Gate::default();
    let hold = gate.clone();
    let proxy = Proxy::start(ministack().address(), move |seen| {
        if seen.publishes() { Verdict::Hold(hold.clone()) } else { Verdict::Forward }
    });
    let publisher = Publisher::at(&proxy.url(), &owner.key);
    let layers = [OtherLayer::new("at once"), OtherLayer::new("at once")];
    let args = |layer: &OtherLayer| layer.args(&[&layer.file("layer.zip")], "TeamSdk", &EXECUTE);
    let running = [&layers[0], &layers[1]].map(|layer| {
        let args = args(layer);
        publisher.spawn_bare(&args.iter().map(String::as_str).collect::<Vec<_>>())
    });
    gate.reached_by(2);
    run(&publisher, &args(&layers[0])).expect(1).says("another publisher is using");
    gate.open(true);
    for running in running {
        running.wait().expect(0);
    }
    assert_eq!(owner.versions("eu-west-1", "TeamSdk").len(), 1);
    let arn = |layer: &OtherLayer| layer.layers()["layers"]["both"]["regions"]["eu-west-1"]["arn"].clone();
    assert_eq!(arn(&layers[0]), arn(&layers[1]));
}

#[test]
fn a_region_without_architectures_takes_a_layer_for_both_without_the_field() {
    let owner = Account::new(ministack());
    let layer = OtherLayer::new("no architectures");
    let mut requests = 0;
    // The proxy refuses the first request, as AWS refuses requests with the field. The stored layer version shows that
    // the second request has no such field.
    let proxy = Proxy::start(ministack().address(), move |seen| {
        requests += usize::from(seen.publishes());
        if !seen.publishes() || requests > 1 {
            return Verdict::Forward;
        }
        let text = "CompatibleArchitectures are not supported in eu-west-1. Please remove the \
            CompatibleArchitectures value from your request and try again";
        let answer = serde_json::json!({"__type": "InvalidParameterValueException", "message": text});
        Verdict::Answer(400, answer.to_string())
    });
    let publisher = Publisher::at(&proxy.url(), &owner.key);
    layer.publish(&publisher, &["--execute"]).expect(0).says("1 published");
    let (_, version) = owner.get("eu-west-1", "layers/TeamSdk/versions/1");
    assert!(version["CompatibleArchitectures"].as_array().is_none_or(Vec::is_empty), "{version}");
    layer.run(&publisher, &["verify"]).expect(0);
    layer.publish(&publisher, &["--execute"]).expect(0).says("nothing to do");
}
