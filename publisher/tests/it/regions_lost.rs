//! Regions that the last release had and that this one would lose although no call fails.

use crate::support::{
    account::Account,
    cli::Publisher,
    dist::{ARCHES, Dist},
    emulator::ministack,
    proxy::{Proxy, Verdict},
    schema::violations,
};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};

const UNKNOWN: &str =
    r#"{"__type":"UnrecognizedClientException","message":"The security token is invalid."}"#;

/// An account whose list of regions the test can change. If `regions` is none, the account may not list regions.
struct ListedRegions {
    regions: Arc<Mutex<Option<Value>>>,
    proxy: Proxy,
}

impl ListedRegions {
    fn start(off: &'static [&'static str]) -> Self {
        let regions = Arc::new(Mutex::new(Some(json!([]))));
        let list = Arc::clone(&regions);
        let proxy = Proxy::start(ministack().address(), move |seen| {
            if seen.service == "account" {
                return match &*list.lock().unwrap() {
                    Some(list) => Verdict::Answer(200, json!({"Regions": list}).to_string()),
                    None => Verdict::error(403, "AccessDeniedException"),
                };
            }
            if off.contains(&seen.region.as_str()) {
                return Verdict::Answer(403, UNKNOWN.to_owned());
            }
            Verdict::Forward
        });
        Self { regions, proxy }
    }

    fn set(&self, regions: &[(&str, &str)]) {
        let region = |(name, status): &(&str, &str)| json!({"RegionName": name, "RegionOptStatus": status});
        *self.regions.lock().unwrap() = Some(regions.iter().map(region).collect());
    }
}

/// The release after `last`: other zips, with `last`'s layers.json in the same folder.
fn next_release(last: &Dist, seed: &str) -> Dist {
    let dist = Dist::new(seed);
    std::fs::copy(last.path().join("layers.json"), dist.path().join("layers.json")).unwrap();
    dist
}

fn regions(dist: &Dist, arch: &str) -> Vec<String> {
    dist.layers()["layers"][arch]["regions"].as_object().unwrap().keys().cloned().collect()
}

#[test]
fn a_region_of_the_last_release_is_missing_until_it_is_published_or_allowed_to_go() {
    let owner = Account::new(ministack());
    let listing = ListedRegions::start(&[]);
    let publisher = Publisher::at(&listing.proxy.url(), &owner.key);
    let all = [("af-south-1", "ENABLED"), ("eu-south-1", "ENABLED"), ("us-east-1", "ENABLED_BY_DEFAULT")];
    listing.set(&all);
    let first = Dist::new("first");
    publisher.run(&first, &["publish", "--execute"]).expect(0);
    assert_eq!(regions(&first, "arm64").len(), 3);

    // One region is disabled, and another one is not in the list at all.
    listing.set(&[("eu-south-1", "DISABLED"), ("us-east-1", "ENABLED_BY_DEFAULT")]);
    let second = next_release(&first, "second");
    let run = publisher.run(&second, &["publish"]).expect(3);
    let run = run.says("af-south-1 (arm64, x86_64): the account's list of regions does not have it");
    run.says("eu-south-1 (arm64, x86_64): it is disabled")
        .says("--allow-fewer-regions af-south-1,eu-south-1");
    let publish = |dist: &Dist, more: &[&str]| {
        publisher.run(dist, &[["publish", "--execute"].as_slice(), more].concat())
    };
    publish(&second, &[])
        .expect(3)
        .says("af-south-1")
        .says("eu-south-1")
        .says("the last release had regions");
    for arch in ARCHES {
        assert_eq!(regions(&second, arch), ["us-east-1"]);
        let missing = &second.layers()["layers"][arch]["missing_regions"];
        assert_eq!(*missing, json!(["af-south-1", "eu-south-1"]));
    }
    assert_eq!(violations(&second.layers()), [""; 0]);
    // layers.json now has only one region, but it also records the missing ones. `verify` reports them, too.
    publish(&second, &[]).expect(3).says("af-south-1");
    publisher.run(&second, &["verify"]).expect(3).says("af-south-1").says("eu-south-1");
    let third = next_release(&second, "third");
    publish(&third, &["--allow-fewer-regions", "eu-*"]).expect(3).says("af-south-1");
    assert_eq!(third.layers()["layers"]["arm64"]["missing_regions"], json!(["af-south-1"]));
    publish(&third, &["--allow-fewer-regions", "af-south-1"]).expect(0);
    assert!(third.layers()["layers"]["arm64"].get("missing_regions").is_none());
    publisher.run(&third, &["verify"]).expect(0);

    // `--regions` limits a run to a part of the regions. The missing ones stay recorded for the next run.
    let part = next_release(&first, "part");
    publish(&part, &["--regions", "eu-south-1,us-east-1"]).expect(3).says("eu-south-1 (arm64, x86_64): ");
    publish(&part, &["--regions", "us-*"]).expect(0).says("af-south-1 (arm64, x86_64): it was not asked for");
    assert_eq!(part.layers()["layers"]["arm64"]["missing_regions"], json!(["af-south-1", "eu-south-1"]));
    publish(&part, &[]).expect(3);

    // When the regions are back, they are published and no longer recorded as missing.
    listing.set(&all);
    publish(&second, &[]).expect(0);
    assert_eq!(regions(&second, "arm64").len(), 3);
    assert!(second.layers()["layers"]["arm64"].get("missing_regions").is_none());
}

#[test]
fn an_option_names_the_last_release_and_another_accepts_fewer_regions() {
    let owner = Account::new(ministack());
    let publisher = Publisher::at(&ministack().url(), &owner.key);
    let last = Dist::new("last");
    publisher.run(&last, &["publish", "--execute", "--regions", "eu-west-1,us-east-1"]).expect(0);
    let file = last.path().join("layers.json");
    let file = file.to_str().unwrap();
    let next = Dist::new("next");
    let args = ["publish", "--execute", "--regions", "eu-west-1", "--previous", file];
    publisher.run(&next, &args).expect(3).says("us-east-1 (arm64, x86_64): it was not asked for");
    publisher.run(&next, &["verify", "--previous", file]).expect(3).says("us-east-1");
    let allow = ["--allow-fewer-regions", "us-east-1"];
    publisher.run(&next, &["verify", "--previous", file, allow[0], allow[1]]).expect(0);
    publisher.run(&next, &[args.as_slice(), &allow].concat()).expect(0);
    publisher.run(&next, &["publish", "--previous", "/nowhere.json"]).expect(1).says("--previous");
}

#[test]
fn a_region_that_is_being_enabled_is_not_left_out() {
    let owner = Account::new(ministack());
    let listing = ListedRegions::start(&["me-south-1", "il-central-1"]);
    let publisher = Publisher::at(&listing.proxy.url(), &owner.key);
    let dist = Dist::new("enabling");
    let statuses = [
        ("il-central-1", "SOMETHING_NEW"),
        ("me-south-1", "ENABLING"),
        ("sa-east-1", "DISABLING"),
        ("us-east-1", "ENABLED"),
    ];
    listing.set(&statuses);
    let run = publisher.run(&dist, &["publish", "--execute"]).expect(3);
    let run = run.says("me-south-1 arm64: the region is not enabled in this account, or not yet");
    run.says("il-central-1 arm64: ").says("disabled in this account: sa-east-1");
}

#[test]
fn without_the_right_to_list_regions_none_becomes_optional() {
    let owner = Account::new(ministack());
    let listing = ListedRegions::start(&["af-south-1"]);
    *listing.regions.lock().unwrap() = None;
    let publisher = Publisher::at(&listing.proxy.url(), &owner.key);
    let dist = Dist::new("no list");
    let run = publisher.run(&dist, &["publish", "--execute", "--exclude", "ap-*,me-*"]).expect(3);
    let run = run.says("the account's list of regions cannot be read").says("af-south-1 arm64: ");
    assert!(!run.stdout.contains("optional"), "{}", run.stdout);
    let args = ["publish", "--execute", "--exclude", "ap-*,me-*", "--optional-regions", "af-*"];
    publisher.run(&dist, &args).expect(0);
}
