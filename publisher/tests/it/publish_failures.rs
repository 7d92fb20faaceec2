//! Regions that fail and responses that get lost.

use crate::support::{
    account::Account,
    cli::Publisher,
    dist::{ARCHES, Dist, layer_name},
    emulator::ministack,
    proxy::{Proxy, Verdict},
    stand_in::StandIn,
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

const DENIED: &str = r#"{"__type":"AccessDeniedException","message":"not authorized here"}"#;
const UNKNOWN: &str =
    r#"{"__type":"UnrecognizedClientException","message":"The security token is invalid."}"#;

#[test]
fn a_failed_region_does_not_stop_the_others_and_is_published_later() {
    let owner = Account::new(ministack());
    let dist = Dist::new("refused");
    let broken = Arc::new(AtomicBool::new(true));
    let switch = Arc::clone(&broken);
    let proxy = Proxy::start(ministack().address(), move |seen| {
        let refuse = seen.region == "eu-north-1" && seen.service == "lambda" && switch.load(Ordering::SeqCst);
        if refuse { Verdict::Answer(403, DENIED.to_owned()) } else { Verdict::Forward }
    });
    let publisher = Publisher::at(&proxy.url(), &owner.key);
    let args = ["publish", "--execute", "--regions", "eu-west-1,eu-north-1,us-east-1"];
    let run = publisher.run(&dist, &args).expect(3);
    let run = run
        .says("eu-north-1 arm64: ListLayerVersions: AccessDeniedException: not authorized here")
        .says("eu-north-1 x86_64: ")
        .says("run the same command again to resume");
    assert!(run.stderr.contains("--regions eu-west-1,eu-north-1,us-east-1"), "{}", run.stderr);
    assert!(run.stdout.contains("eu-north-1  arm64   failed"), "{}", run.stdout);
    assert!(run.stdout.contains("us-east-1   x86_64  published  1"), "{}", run.stdout);
    let keys = |dist: &Dist| dist.layers()["layers"]["arm64"]["regions"].as_object().unwrap().len();
    assert_eq!(keys(&dist), 2);

    broken.store(false, Ordering::SeqCst);
    publisher.run(&dist, &args).expect(0);
    assert_eq!(keys(&dist), 3);
    for region in ["eu-west-1", "eu-north-1", "us-east-1"] {
        for arch in ARCHES {
            assert_eq!(owner.versions(region, &layer_name(arch)), [1], "{region} {arch}");
        }
    }
}

#[test]
fn an_optional_region_that_fails_does_not_change_the_exit_code() {
    let owner = Account::new(ministack());
    let dist = Dist::new("optional");
    let proxy = Proxy::start(ministack().address(), |seen| {
        if seen.region == "me-south-1" { Verdict::Answer(403, UNKNOWN.to_owned()) } else { Verdict::Forward }
    });
    let publisher = Publisher::at(&proxy.url(), &owner.key);
    let args = ["publish", "--execute", "--regions", "eu-west-1", "--optional-regions", "me-south-1"];
    let run = publisher.run(&dist, &args).expect(0);
    let line = run.stdout.lines().find(|line| line.starts_with("me-south-1")).unwrap();
    assert!(line.contains("failed") && line.contains("optional: the region is not enabled"), "{line}");
    // The same region fails the run if it is required.
    publisher.run(&dist, &["publish", "--regions", "eu-west-1,me-south-1"]).expect(3).says("not enabled");
}

#[test]
fn an_unresponsive_region_does_not_delay_the_others() {
    let owner = Account::new(ministack());
    let dist = Dist::new("unreachable");
    let proxy = Proxy::start(ministack().address(), |seen| {
        if seen.region == "eu-north-1" { Verdict::Cut } else { Verdict::Forward }
    });
    let publisher = Publisher::at(&proxy.url(), &owner.key);
    let run = publisher.run(&dist, &["publish", "--execute", "--regions", "eu-north-1,us-east-1"]).expect(3);
    run.says("eu-north-1 arm64: ListLayerVersions: dispatch failure")
        .says("us-east-1   arm64   published  1");
    assert_eq!(owner.versions("us-east-1", &layer_name("x86_64")), [1]);
}

#[test]
fn no_region_gets_more_than_ten_requests_a_second() {
    let owner = Account::new(ministack());
    let dist = Dist::new("pace");
    let proxy = Proxy::start(ministack().address(), |_| Verdict::Forward);
    let publisher = Publisher::at(&proxy.url(), &owner.key);
    let begun = Instant::now();
    publisher.run(&dist, &["publish", "--execute", "--regions", "eu-west-1"]).expect(0);
    let seen = proxy.requests();
    let times: Vec<_> = seen.iter().filter(|seen| seen.service == "lambda").map(|seen| seen.at).collect();
    assert_eq!(times.len(), 20, "list, list again, publish, list again, grant, read back: for each layer");
    // Requests leave 100 ms apart. One may catch up with another on the way, so each is compared with the beginning.
    for (nth, at) in (0..).zip(times) {
        let earliest = begun + nth * Duration::from_millis(100);
        assert!(at >= earliest, "request {nth} came {:?} too early", earliest - at);
    }
}

#[test]
fn a_disabled_region_is_reported_and_gets_no_request() {
    let owner = Account::new(ministack());
    let dist = Dist::new("disabled");
    let list = r#"{"Regions":[{"RegionName":"eu-west-1","RegionOptStatus":"ENABLED_BY_DEFAULT"},
        {"RegionName":"me-south-1","RegionOptStatus":"DISABLED"}]}"#;
    let proxy = Proxy::start(ministack().address(), move |seen| {
        if seen.service == "account" { Verdict::Answer(200, list.to_owned()) } else { Verdict::Forward }
    });
    let publisher = Publisher::at(&proxy.url(), &owner.key);
    let run = publisher.run(&dist, &["publish", "--execute"]).expect(0);
    let run = run.says("disabled in this account: me-south-1");
    assert!(!run.stdout.contains("me-south-1"), "{}", run.stdout);
    let asked = ["publish", "--execute", "--regions", "eu-west-1,me-south-1"];
    publisher.run(&dist, &asked).expect(3).says("me-south-1 arm64: the region is DISABLED in this account");
    assert!(proxy.requests().iter().all(|seen| seen.region != "me-south-1"));
}

#[test]
fn a_publish_whose_response_is_lost_or_wrong_is_not_repeated() {
    for (name, verdict) in [
        ("lost", (|| Verdict::ForwardAndCut) as fn() -> Verdict),
        ("503", || Verdict::ForwardAndAnswer(503, "{}".to_owned())),
        ("nonsense", || Verdict::ForwardAndAnswer(201, "{\"Version\": 1, \"Lay".to_owned())),
        ("empty", || Verdict::ForwardAndAnswer(201, String::new())),
    ] {
        let owner = Account::new(ministack());
        let dist = Dist::new(name);
        let proxy =
            Proxy::start(
                ministack().address(),
                move |seen| {
                    if seen.publishes() { verdict() } else { Verdict::Forward }
                },
            );
        let publisher = Publisher::at(&proxy.url(), &owner.key);
        publisher.run(&dist, &["publish", "--execute", "--regions", "eu-west-1"]).expect(0);
        for arch in ARCHES {
            assert_eq!(owner.versions("eu-west-1", &layer_name(arch)), [1], "{name} {arch}");
        }
        assert_eq!(proxy.requests().iter().filter(|seen| seen.publishes()).count(), 2, "{name}");
        publisher.run(&dist, &["verify"]).expect(0);
    }
}

#[test]
fn a_publish_that_never_arrived_is_repeated() {
    let owner = Account::new(ministack());
    let dist = Dist::new("never arrived");
    let mut failures = 0;
    let proxy = Proxy::start(ministack().address(), move |seen| {
        if seen.publishes() && failures < 2 {
            failures += 1;
            return Verdict::error(500, "ServiceException");
        }
        Verdict::Forward
    });
    let publisher = Publisher::at(&proxy.url(), &owner.key);
    publisher.run(&dist, &["publish", "--execute", "--regions", "eu-west-1"]).expect(0);
    for arch in ARCHES {
        assert_eq!(owner.versions("eu-west-1", &layer_name(arch)), [1]);
    }
}

#[test]
fn a_refused_grant_is_reported_and_added_by_the_next_run() {
    let owner = Account::new(ministack());
    let dist = Dist::new("grant refused");
    let broken = Arc::new(AtomicBool::new(true));
    let switch = Arc::clone(&broken);
    let proxy = Proxy::start(ministack().address(), move |seen| {
        let grants = seen.line.starts_with("POST ") && seen.line.ends_with("/policy");
        if grants && switch.load(Ordering::SeqCst) {
            Verdict::Answer(403, DENIED.to_owned())
        } else {
            Verdict::Forward
        }
    });
    let publisher = Publisher::at(&proxy.url(), &owner.key);
    let args = ["publish", "--execute", "--regions", "eu-west-1"];
    publisher.run(&dist, &args).expect(3).says("AddLayerVersionPermission: AccessDeniedException");
    assert!(!dist.path().join("layers.json").exists());
    broken.store(false, Ordering::SeqCst);
    publisher.run(&dist, &args).expect(0).says("granted");
    assert_eq!(owner.versions("eu-west-1", &layer_name("arm64")), [1]);
}

#[test]
fn a_grant_gets_another_name_if_its_name_is_taken() {
    let owner = Account::new(ministack());
    let dist = Dist::new("statement");
    let publisher = Publisher::at(&ministack().url(), &owner.key);
    let args = ["publish", "--execute", "--regions", "eu-west-1"];
    publisher.run(&dist, &args).expect(0);
    owner.revoke("eu-west-1", &layer_name("arm64"), 1);
    let body = serde_json::json!({
        "StatementId": "public", "Action": "lambda:GetLayerVersion", "Principal": "999999999999"
    });
    let path = format!("layers/{}/versions/1/policy", layer_name("arm64"));
    assert_eq!(owner.lambda("eu-west-1", "POST", &path, &body).0, 201);
    publisher.run(&dist, &["verify"]).expect(1).says("permission is account 999999999999, expected public");
    publisher.run(&dist, &args).expect(0).says("grant public");
    publisher.run(&dist, &["verify"]).expect(0);
    assert_eq!(owner.versions("eu-west-1", &layer_name("arm64")), [1]);
    let (_, policy) = owner.get("eu-west-1", &path);
    assert!(policy["Policy"].as_str().unwrap().contains("public-2"), "{policy}");
}

#[test]
fn a_stalled_upload_is_aborted_early_and_repeated() {
    let owner = Account::new(ministack());
    let dist = Dist::large(45_000_000);
    let mut stand_in = StandIn::new(1, &dist);
    let mut stalls = 2;
    let proxy = Proxy::start(ministack().address(), move |seen| {
        if seen.publishes() && stalls > 0 {
            stalls -= 1;
            return Verdict::Stall;
        }
        stand_in.answer(seen)
    });
    let publisher = Publisher::at(&proxy.url(), &owner.key);
    let run = publisher.run(&dist, &["publish", "--execute", "--timeout", "3", "--regions", "xx-test-1"]);
    // The limit is ten times the usual duration, and less than the 229 s that an upload of this size may take.
    run.expect(0).within(Duration::from_secs(200)).says("2 published");
    assert_eq!(proxy.requests().iter().filter(|seen| seen.publishes()).count(), 4);
}
