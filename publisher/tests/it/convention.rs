//! Rules for all commands: nothing is written without `--execute`, and an option has the same name everywhere.

use crate::support::{
    account::Account,
    cli::Publisher,
    dist::{Dist, layer_name, other_zip},
    emulator::ministack,
    function::Function,
    proxy::{Proxy, Verdict},
};
use serde_json::json;

const REGION: &str = "eu-west-1";

#[test]
fn commands_write_to_aws_only_with_execute() {
    let owner = Account::new(ministack());
    let proxy = Proxy::start(ministack().address(), |_| Verdict::Forward);
    let publisher = Publisher::at(&proxy.url(), &owner.key);
    let dist = Dist::new("execute");
    let function = Function::new(&owner, REGION, "f", &json!({}));
    Publisher::at(&ministack().url(), &owner.key)
        .run(&dist, &["publish", "--execute", "--region", REGION])
        .expect(0);
    for seed in ["newer", "newest"] {
        owner.publish(REGION, &layer_name("x86_64"), "x86_64", &other_zip(seed), seed);
    }
    let other = Dist::new("another");
    std::fs::copy(dist.path().join("layers.json"), other.path().join("layers.json")).unwrap();
    let commands: [&[&str]; 3] = [
        &["prune", "--regions", REGION, "--keep", "1"],
        &["attach", "f", "--regions", REGION],
        // This is last, because it writes the layers.json that the other commands read.
        &["publish", "--regions", REGION, "--layer-name", "Another-{arch}"],
    ];
    for command in commands {
        for more in [&[][..], &["--dry-run"]] {
            let run = publisher.run(&other, &[command, more].concat()).expect(0);
            run.says("nothing was").says("--execute");
        }
        publisher.run(&other, &[command, &["--dry-run", "--execute"]].concat()).expect(2);
    }
    let wrote = proxy.requests().into_iter().filter(|seen| {
        seen.service == "lambda" && !seen.line.starts_with("GET ") && !seen.line.starts_with("HEAD ")
    });
    assert_eq!(wrote.map(|seen| seen.line).collect::<Vec<_>>(), [""; 0]);
    assert!(function.layers().is_empty());

    // The command that the plan suggests carries it out, even if the plan was requested with `--dry-run`.
    let run = publisher.run(&other, &["attach", "f", "--regions", REGION, "--dry-run"]).expect(0);
    let next = run.stderr.lines().find(|line| line.contains("--execute")).unwrap();
    assert!(!next.contains("--dry-run"), "{next}");
    for command in commands {
        publisher.run(&other, &[command, &["--execute"]].concat()).expect(0);
    }
    assert_eq!(function.layers().len(), 1);
    assert_eq!(owner.versions(REGION, "Another-arm64"), [1]);
    assert_eq!(owner.versions(REGION, &layer_name("x86_64")), [1, 3]);
}

#[test]
fn every_command_has_regions_with_the_alias_region() {
    let owner = Account::new(ministack());
    let publisher = Publisher::at(&ministack().url(), &owner.key);
    let dist = Dist::new("alias");
    Function::new(&owner, REGION, "f", &json!({}));
    for option in ["--region", "--regions"] {
        publisher.run(&dist, &["publish", "--execute", option, "eu-west-1,us-east-1"]).expect(0);
        let run = publisher.run(&dist, &["verify", "--json", option, "us-*"]).expect(0);
        let checked = run.json().as_array().unwrap().clone();
        assert!(checked.len() == 2 && checked.iter().all(|check| check["region"] == "us-east-1"), "{run:?}");
        publisher.run(&dist, &["verify", option, "sa-east-1"]).expect(1).says("no layer in sa-east-1");
        publisher.run(&dist, &["prune", "--keep", "1", option, REGION]).expect(0);
        publisher.run(&dist, &["attach", "f", option, REGION]).expect(0);
        for more in [&[][..], &["--latest"]] {
            let arns = |regions| {
                let args = [&["arn", "--arch", "arm64", option, regions], more].concat();
                publisher.run(&dist, &args).expect(0).stdout.matches("arn:aws:lambda:").count()
            };
            assert_eq!([arns(REGION), arns("eu-*"), arns("us-east-1,eu-west-1")], [1, 1, 2], "{more:?}");
        }
        let run = publisher.run(&dist, &["arn", option, "eu-west-1,ap-*"]).expect(1);
        run.says("is not in ap-*").says("it is in: eu-west-1 us-east-1");
    }
}

#[test]
fn a_misspelt_region_is_refused_before_anything_is_written() {
    let owner = Account::new(ministack());
    let proxy = Proxy::start(ministack().address(), |_| Verdict::Forward);
    let publisher = Publisher::at(&proxy.url(), &owner.key);
    let dist = Dist::new("misspelt");
    let says = "there is no region `eu-wset-1`: did you mean eu-west-1?";
    for regions in [["--regions", "us-east-1,eu-wset-1"], ["--optional-regions", "eu-wset-1"]] {
        publisher.run(&dist, &[&["publish", "--execute"], &regions[..]].concat()).expect(1).says(says);
    }
    assert!(proxy.requests().iter().all(|seen| seen.service != "lambda"));
    publisher.run(&dist, &["publish", "--execute", "--regions", REGION]).expect(0);
    publisher.run(&dist, &["prune", "--keep", "1", "--regions", "eu-wset-1"]).expect(1).says(says);
    // Commands that do not list the account's regions compare the name with the built-in list.
    publisher
        .run(&dist, &["attach", "f", "--regions", "eu-wset-1"])
        .expect(1)
        .says("did you mean eu-west-1?");
}

#[test]
fn an_old_option_is_refused_and_the_new_one_is_named() {
    let dist = Dist::new("old");
    for (old, new) in [
        (&["--private"][..], "--share-with private"),
        (&["--account", "123456789012"], "--share-with ID,…"),
        (&["--account=123456789012"], "--share-with ID,…"),
        (&["--organization", "o-a1b2c3d4e5"], "--share-with o-…"),
    ] {
        let run = Publisher::new().run(&dist, &[&["publish"], old].concat()).expect(2);
        run.says(&format!("instead of '{}' there is '{new}'", old[0].split('=').next().unwrap()));
    }
}
