//! `publish --canary`: a few regions come first, and the others only if a command says that the layers work there.

use crate::support::{
    account::Account,
    cli::{Publisher, Run},
    dist::{Dist, layer_name},
    emulator::ministack,
};
use serde_json::Value;
use std::{
    fs,
    path::Path,
    thread,
    time::{Duration, Instant},
};

const CANARY: &str = "us-west-2,eu-west-1";
const ALL: &str = "ap-south-1,eu-west-1,us-east-1,us-west-2";
/// A bound on a wait that ends long before, unless something hangs.
const HANG: Duration = Duration::from_mins(2);

struct Case {
    owner: Account,
    dist: Dist,
}

impl Case {
    fn new(seed: &str) -> Self {
        Self { owner: Account::new(ministack()), dist: Dist::new(seed) }
    }

    fn publish(&self, check: &str, more: &[&str]) -> Run {
        let publisher = Publisher::at(&ministack().url(), &self.owner.key);
        let args = ["publish", "--regions", ALL, "--canary", CANARY, "--canary-check", check];
        publisher.run(&self.dist, &[&args, more].concat())
    }

    /// The regions that have a version of the layer.
    fn regions(&self) -> Vec<&'static str> {
        let has = |region: &&str| self.owner.versions(region, &layer_name("arm64")) == [1];
        ALL.split(',').filter(has).collect()
    }
}

fn regions_in(file: &Path) -> Vec<String> {
    let layers: Value = serde_json::from_slice(&fs::read(file).unwrap()).unwrap();
    layers["layers"]["arm64"]["regions"].as_object().unwrap().keys().cloned().collect()
}

#[test]
fn the_other_regions_follow_once_the_check_has_succeeded_in_each() {
    let case = Case::new("canary");
    let check = r#"cp "$DIST/layers.json" "$DIST/$REGION.seen""#;
    case.publish(check, &[])
        .expect(0)
        .says("first us-west-2 eu-west-1, then in each: cp ")
        .says("nothing was");
    assert!(case.regions().is_empty() && !case.dist.path().join("us-west-2.seen").exists());
    let run = case.publish(check, &["--execute", "--json"]).expect(0);
    assert_eq!(run.json()["regions"].as_array().unwrap().len(), 8, "one document, of all regions");
    for region in CANARY.split(',') {
        assert_eq!(regions_in(&case.dist.path().join(format!("{region}.seen"))), ["eu-west-1", "us-west-2"]);
    }
    assert_eq!(regions_in(&case.dist.path().join("layers.json")), ALL.split(',').collect::<Vec<_>>());
    assert_eq!(case.regions().len(), 4);
}

#[test]
fn a_failed_check_keeps_the_layers_from_the_other_regions() {
    let case = Case::new("failed canary");
    let run = case.publish(r#"[ "$REGION" = us-west-2 ]"#, &["--execute"]).expect(3);
    run.says("the canary in eu-west-1 failed, so nothing was published elsewhere").says("exit status: 1");
    assert_eq!(case.regions(), ["eu-west-1", "us-west-2"]);
    case.publish("true", &["--execute"]).expect(0);
    assert_eq!(case.regions().len(), 4, "each region has version 1 and no other");
}

#[test]
fn a_check_that_hangs_is_ended_with_all_that_it_started() {
    let case = Case::new("slow canary");
    let check = r#"sleep 600 & echo $! > "$DIST/started"; wait"#;
    let run = case.publish(check, &["--execute", "--canary-timeout", "1"]).expect(3);
    run.says("no end after 1 seconds");
    let pid = fs::read_to_string(case.dist.path().join("started")).unwrap();
    let status = format!("/proc/{}/status", pid.trim());
    let started = Instant::now();
    // An orphan may stay a zombie if nothing in the container collects it.
    while fs::read_to_string(&status).is_ok_and(|text| !text.contains("State:\tZ")) {
        assert!(started.elapsed() < HANG, "sleep still runs");
        thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(case.regions().len(), 2);
}

#[test]
fn a_canary_has_to_be_among_the_regions_and_needs_a_check() {
    let case = Case::new("wrong canary");
    let publisher = Publisher::at(&ministack().url(), &case.owner.key);
    publisher.run(&case.dist, &["publish", "--canary", "eu-west-1"]).expect(2).says("--canary-check");
    let run = case.publish("true", &["--execute", "--exclude", "eu-*"]).expect(2);
    run.says("--canary names eu-west-1, and --regions or --exclude leave it out");
    assert!(case.regions().is_empty());
}
