//! `publisher attach`: adds the layer to a function, replaces it with a newer version, and removes it.

use crate::support::{
    account::Account,
    cli::{Publisher, acting},
    dist::{ARCHES, Dist},
    emulator::{Emulator, ministack, moto},
    function::Function,
};
use serde_json::json;

const REGION: &str = "eu-west-1";

fn layer(owner: &Account, arch: &str, version: i64) -> String {
    format!("arn:aws:lambda:{REGION}:{}:layer:SentryLambdaExtension-{arch}:{version}", owner.key)
}

fn publish(publisher: &Publisher, seed: &str) -> Dist {
    let dist = Dist::new(seed);
    publisher.run(&dist, &["publish", "--execute", "--regions", REGION]).expect(0);
    dist
}

/// Attaches the layer to a function that has other layers, replaces it with a newer version, and detaches it.
fn attach_replace_and_detach(emulator: &Emulator, runtime: &str) {
    let owner = Account::new(emulator);
    let publisher = Publisher::at(&emulator.url(), &owner.key);
    let number = owner.number();
    // All tests share one account in moto, so the layer's name contains the test's key.
    let name = |arch| format!("Life-{}-{arch}", owner.key);
    let layer = |arch, version| format!("arn:aws:lambda:{REGION}:{number}:layer:{}:{version}", name(arch));
    let [first, second] = ["first", "second"].map(|seed| {
        let (dist, template) = (Dist::new(seed), name("{arch}"));
        let args = ["publish", "--execute", "--regions", REGION, "--layer-name", &template];
        publisher.run(&dist, &args).expect(0);
        dist
    });
    for arch in ARCHES {
        let (a, b) = (owner.other_layer(REGION, "a"), owner.other_layer(REGION, "b"));
        let function = format!("function-{}-{arch}", owner.key);
        let attach = |dist: &Dist, more: &[&str]| {
            publisher
                .run(dist, &acting(&[&["attach", &function, "--region", REGION], more].concat()))
                .expect(0)
        };
        let more = json!({"Architectures": [arch], "Runtime": runtime, "Layers": [a]});
        let function = Function::new(&owner, REGION, &function, &more);
        let dry = attach(&first, &["--dry-run", "--json"]).json();
        assert_eq!(
            (&dry["action"], &dry["changed"], &dry["dry_run"]),
            (&json!("append"), &json!(false), &json!(true))
        );
        assert_eq!(function.layers(), std::slice::from_ref(&a));

        let run = attach(&first, &["--json"]);
        assert_eq!(function.layers(), [a.clone(), layer(arch, 1)]);
        let expected = json!({
            "function": function.arn(), "arch": arch, "runtime": runtime, "layer": layer(arch, 1),
            "action": "append", "changed": true, "dry_run": false,
            "before": {"layers": [a], "exec_wrapper": null},
            "after": {"layers": [a, layer(arch, 1)], "exec_wrapper": null}
        });
        assert_eq!(run.json(), expected);
        let before = function.configuration()["RevisionId"].clone();
        attach(&first, &[]).says("nothing to do");
        assert_eq!(function.configuration()["RevisionId"], before, "something was written");

        // Another user appends a layer, and replaces ours with the one for the other architecture.
        let other = ARCHES.into_iter().find(|other| *other != arch).unwrap();
        function.configure(&json!({"Layers": [layer(arch, 1), b, layer(other, 1), a]}));
        let run = attach(&second, &[]);
        assert_eq!(function.layers(), [layer(arch, 2), b.clone(), a.clone()]);
        let before = format!("before  1. {}\n        2. {b}\n", layer(arch, 1));
        assert!(run.stdout.starts_with(&before), "{}", run.stdout);
        assert!(run.stdout.contains(&format!("\nafter   1. {}\n", layer(arch, 2))), "{}", run.stdout);

        // An older release can be attached, too.
        attach(&first, &[]);
        assert_eq!(function.layers(), [layer(arch, 1), b.clone(), a.clone()]);
        attach(&first, &["--detach", "--dry-run"]).says("nothing was changed");
        attach(&first, &["--detach"]).says("the change is in effect");
        assert_eq!(function.layers(), [b, a]);
        attach(&first, &["--detach"]).says("nothing to do");
    }
}

#[test]
fn a_layer_is_attached_replaced_and_detached_on_ministack() {
    attach_replace_and_detach(ministack(), "python3.13");
}

#[test]
fn a_layer_is_attached_replaced_and_detached_on_moto() {
    attach_replace_and_detach(moto(), "nodejs22.x");
}

#[test]
fn a_functions_arn_names_its_region_in_every_partition() {
    let owner = Account::new(moto());
    let dist = Dist::new("china");
    let publisher = Publisher::at(&moto().url(), &owner.key);
    let args = ["publish", "--execute", "--regions", "cn-north-1"];
    publisher.run(&dist, &args).expect(0);
    let function = Function::new(&owner, "cn-north-1", "f", &json!({}));
    let arn = function.arn();
    assert!(arn.starts_with("arn:aws-cn:lambda:cn-north-1:"), "{arn}");
    publisher.run(&dist, &["attach", &arn, "--execute"]).expect(0);
    let account = dist.layers()["accounts"]["aws-cn"].as_str().unwrap().to_owned();
    let layer = format!("arn:aws-cn:lambda:cn-north-1:{account}:layer:SentryLambdaExtension-x86_64:1");
    assert_eq!(function.layers(), [layer]);
}

#[test]
fn the_region_comes_from_the_command_line_the_arn_or_the_environment() {
    let owner = Account::new(ministack());
    let publisher = Publisher::at(&ministack().url(), &owner.key);
    let dist = publish(&publisher, "regions");
    let function = Function::new(&owner, REGION, "where", &json!({}));
    let contradiction = ["attach", &function.arn(), "--region", "us-east-1"];
    publisher.run(&dist, &contradiction).expect(2).says("says eu-west-1");
    publisher.run(&dist, &["attach", "where"]).expect(2).says("in which region");
    publisher
        .run(&dist, &["attach", "where", "--region", "us-east-1"])
        .expect(1)
        .says("no function where in us-east-1");
    publisher
        .run(&dist, &["attach", "where:live", "--region", REGION])
        .expect(2)
        .says("a version or an alias");
    publisher.run(&dist, &["attach", "what is this"]).expect(2);
    assert!(function.layers().is_empty());
    let set = Publisher::at(&ministack().url(), &owner.key).env("AWS_REGION", REGION);
    set.run(&dist, &["attach", "where", "--expect-account", "123456789012"])
        .expect(1)
        .says("not to 123456789012");
    set.run(&dist, &["attach", "where", "--execute"]).expect(0);
    assert_eq!(function.layers(), [layer(&owner, "x86_64", 1)]);
}

#[test]
fn a_version_can_be_given_by_arn_or_read_from_aws() {
    let owner = Account::new(ministack());
    let publisher = Publisher::at(&ministack().url(), &owner.key);
    let (old, _new) = (publish(&publisher, "old"), publish(&publisher, "new"));
    let function = Function::new(&owner, REGION, "named", &json!({}));
    publisher.run(&old, &["attach", "named", "--region", REGION, "--latest", "--execute"]).expect(0);
    assert_eq!(function.layers(), [layer(&owner, "x86_64", 2)]);
    // The folder has no manifest.
    let (empty, arn) = (Dist::new("none"), layer(&owner, "x86_64", 1));
    publisher
        .run(&empty, &["attach", "named", "--region", REGION, "--layer-arn", &arn, "--execute"])
        .expect(0);
    assert_eq!(function.layers(), std::slice::from_ref(&arn));
    publisher
        .run(&empty, &["attach", "named", "--region", REGION])
        .expect(1)
        .says("publisher publish --execute");
    let elsewhere = arn.replace(REGION, "us-east-1");
    let run = publisher.run(&empty, &["attach", "named", "--region", REGION, "--layer-arn", &elsewhere]);
    run.expect(1).says("is in us-east-1");
    publisher.run(&empty, &["attach", "named", "--region", REGION, "--layer-arn", "latest"]).expect(2);
    let other = layer(&owner, "arm64", 1);
    let run = publisher.run(&empty, &["attach", "named", "--region", REGION, "--layer-arn", &other]);
    run.expect(1).says("is for arm64, and the function is x86_64");
    assert_eq!(function.layers(), std::slice::from_ref(&arn));
    publisher
        .run(&empty, &["attach", "named", "--region", REGION, "--detach", "--layer-arn", &arn, "--execute"])
        .expect(0);
    assert!(function.layers().is_empty());
}

#[test]
fn a_release_without_the_functions_region_is_refused_and_its_regions_are_named() {
    let owner = Account::new(ministack());
    let publisher = Publisher::at(&ministack().url(), &owner.key);
    let dist = publish(&publisher, "absent");
    let function = Function::new(&owner, "sa-east-1", "far", &json!({}));
    publisher
        .run(&dist, &["attach", "far", "--region", "sa-east-1", "--execute"])
        .expect(1)
        .says("it is in: eu-west-1");
    assert!(function.layers().is_empty());
}

#[test]
fn with_relay_and_without_are_variants_of_one_layer() {
    let owner = Account::new(ministack());
    let publisher = Publisher::at(&ministack().url(), &owner.key);
    let dist = Dist::new("variants").with_relay(1000, &["nodejs24.x", "provided.al2023"]);
    publisher.run(&dist, &["publish", "--execute", "--regions", REGION]).expect(0);
    let relay = layer(&owner, "x86_64", 1).replace("Extension-", "ExtensionRelay-");
    let function = Function::new(&owner, REGION, "variants", &json!({}));
    let args = ["attach", "variants", "--region", REGION, "--execute"];
    publisher.run(&dist, &args).expect(0);
    assert_eq!(function.layers(), [layer(&owner, "x86_64", 1)]);
    let run = publisher.run(&dist, &[&args[..], &["--relay"]].concat()).expect(0);
    run.says("the Relay in this layer is not for python3.13, but for nodejs24.x provided.al2023");
    assert_eq!(function.layers(), std::slice::from_ref(&relay));
    let newest = publisher.run(&dist, &[&args[..], &["--relay", "--latest", "--json"]].concat()).expect(0);
    assert_eq!(newest.json()["layer"], relay);
    publisher.run(&dist, &args).expect(0);
    assert_eq!(function.layers(), [layer(&owner, "x86_64", 1)]);
    publisher.run(&dist, &["arn", "--relay", "--arch", "x86_64"]).expect(0).says(&relay);
    publisher.run(&dist, &["arn", "--relay", "--latest", "--arch", "x86_64"]).expect(0).says(&relay);
    // A release without Relay has no such layer, and the error says so.
    let plain = Dist::new("plain");
    publisher.run(&plain, &["publish", "--execute", "--regions", REGION]).expect(0);
    let refused = publisher.run(&plain, &[&args[..], &["--relay"]].concat()).expect(1);
    refused.says("the x86_64 layer with Relay of 1.2.3 is in no region");
}
