//! `verify --as` and `verify --as-stranger`: what an account sees that does not own the layers.

use crate::support::{
    account::Account,
    cli::Publisher,
    dist::Dist,
    emulator::ministack,
    proxy::{Proxy, SeenRequest, Verdict},
};
use serde_json::json;

struct Case {
    owner: Account,
    stranger: Account,
    dist: Dist,
}

impl Case {
    fn new(seed: &str) -> Self {
        let (owner, stranger) = (Account::new(ministack()), Account::new(ministack()));
        let case = Self { owner, stranger, dist: Dist::new(seed) };
        case.publish(&[]);
        case
    }

    fn publish(&self, more: &[&str]) {
        let direct = Publisher::at(&ministack().url(), &self.owner.key);
        let publish = ["publish", "--execute", "--regions", "eu-west-1,us-east-1"];
        direct.run(&self.dist, &[&publish, more].concat()).expect(0);
    }

    /// A proxy whose regions in `off` do not know the stranger. AWS answers so if an account has not enabled a region.
    fn proxy(&self, off: &'static [&'static str]) -> Proxy {
        let stranger = self.stranger.key.clone();
        Proxy::start(ministack().address(), move |request| {
            let refused = request.key == stranger
                && request.service == "lambda"
                && off.contains(&request.region.as_str());
            if refused { Verdict::error(403, "UnrecognizedClientException") } else { Verdict::Forward }
        })
    }

    /// A publisher with the owner's credentials, and with the stranger's as a profile.
    fn as_owner(&self, proxy: &Proxy) -> Publisher {
        let publisher = Publisher::at(&proxy.url(), &self.owner.key);
        let profile =
            format!("[stranger]\naws_access_key_id = {}\naws_secret_access_key = x\n", self.stranger.key);
        publisher.home_file(".aws/credentials", &profile);
        publisher
    }

    fn as_stranger(&self, proxy: &Proxy) -> Publisher {
        Publisher::at(&proxy.url(), &self.stranger.key)
    }
}

#[test]
fn a_region_disabled_in_the_other_account_is_reported_as_unknown() {
    let case = Case::new("off");
    let proxy = case.proxy(&["us-east-1"]);
    let run = case.as_owner(&proxy).run(&case.dist, &["verify", "--as", "stranger"]).expect(0);
    let run = run.says("does not have these regions enabled: us-east-1").says("4 layer versions");
    let unknown = |line: &&str| line.starts_with("us-east-1") && line.contains("unknown");
    assert_eq!(run.stdout.lines().filter(unknown).count(), 2, "{}", run.stdout);
    assert_eq!(run.stdout.lines().filter(|line| line.contains("  ok")).count(), 2, "{}", run.stdout);

    let report =
        case.as_owner(&proxy).run(&case.dist, &["verify", "--as", "stranger", "--json"]).expect(0).json();
    let (known, off) = (&report[0], &report[2]);
    assert_eq!((&known["region"], known.get("unknown")), (&json!("eu-west-1"), None));
    assert_eq!((&off["region"], &off["ok"]), (&json!("us-east-1"), &json!(true)));
    let why = off["unknown"].as_str().unwrap();
    assert!(why.contains("the region is not enabled in this account, or not yet"), "{why}");
}

#[test]
fn an_account_that_has_no_region_enabled_proves_nothing() {
    let case = Case::new("all off");
    let proxy = case.proxy(&["us-east-1", "eu-west-1"]);
    let says = "the other account could not check any layer";
    case.as_owner(&proxy).run(&case.dist, &["verify", "--as", "stranger"]).expect(1).says(says);
    case.as_stranger(&proxy).run(&case.dist, &["verify", "--as-stranger"]).expect(1).says(says);
}

#[test]
fn a_missing_response_is_not_reported_as_a_difference() {
    let case = Case::new("no answer");
    let stranger = case.stranger.key.clone();
    let proxy = Proxy::start(ministack().address(), move |request| {
        let theirs = request.key == stranger && request.service == "lambda" && request.region == "us-east-1";
        if theirs { Verdict::error(500, "ServiceException") } else { Verdict::Forward }
    });
    let run = case.as_owner(&proxy).run(&case.dist, &["verify", "--as", "stranger"]).expect(1);
    let run = run.says("the other account got no response").says("2 of 4");
    assert_eq!(run.stdout.lines().filter(|line| line.contains("not read")).count(), 2, "{}", run.stdout);
}

#[test]
fn a_stranger_alone_reads_and_downloads_what_is_public() {
    let case = Case::new("alone");
    let proxy = case.proxy(&["us-east-1"]);
    let verify = ["verify", "--as-stranger", "--download"];
    let publisher = case.as_stranger(&proxy);
    publisher.run(&case.dist, &verify).expect(0).says("does not have these regions enabled: us-east-1");
    let theirs: Vec<SeenRequest> = proxy.requests();
    assert!(theirs.iter().all(|request| request.key != case.owner.key), "{theirs:?}");
    assert!(theirs.iter().all(|request| !request.line.contains("/policy")), "{theirs:?}");

    // The owner can always read the layers, so a check as the owner would prove nothing.
    let owner = Publisher::at(&proxy.url(), &case.owner.key);
    owner.run(&case.dist, &verify).expect(1).says("they prove nothing");

    case.publish(&["--share-with", "private"]);
    let run = publisher.run(&case.dist, &verify).expect(1);
    run.says("what the other account sees is GetLayerVersionByArn: AccessDenied").says("2 of 4");
}

#[test]
fn another_account_is_told_about_the_option() {
    let case = Case::new("pointed");
    let proxy = case.proxy(&[]);
    case.as_stranger(&proxy).run(&case.dist, &["verify"]).expect(1).says("--as-stranger");
}
