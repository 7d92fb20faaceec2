//! Slow uploads, and publish requests that take effect after the publisher has stopped waiting for them.

use crate::support::{
    account::Account,
    cli::Publisher,
    dist::{ARCHES, Dist},
    emulator::ministack,
    gate::Gate,
    proxy::{Proxy, Verdict},
};
use std::collections::HashMap;

const REGION: &str = "eu-west-1";
const ARGS: [&str; 4] = ["publish", "--execute", "--regions", REGION];

#[test]
fn an_upload_holds_its_place_until_it_is_answered() {
    let owner = Account::new(ministack());
    let dist = Dist::new("held until the answer");
    let gate = Gate::default();
    let hold = gate.clone();
    let proxy = Proxy::start(ministack().address(), move |seen| {
        if seen.publishes() { Verdict::HoldAnswer(hold.clone()) } else { Verdict::Forward }
    });
    let publisher = Publisher::at(&proxy.url(), &owner.key);
    let running = publisher.spawn(&dist, &[ARGS.as_slice(), &["--max-uploads", "1"]].concat());
    gate.reached();
    // A missing second upload gives no event, so the test has to wait for a while.
    std::thread::sleep(std::time::Duration::from_secs(1));
    assert_eq!(proxy.requests().iter().filter(|seen| seen.publishes()).count(), 1);
    gate.open(true);
    running.wait().expect(0).says("2 published");
}

/// Stalled uploads show that the network is too slow for so many, so the limit is halved.
#[test]
fn uploads_that_stall_halve_the_number_under_way() {
    const MOST: usize = 4;
    let owner = Account::new(ministack());
    // No kernel buffers that much of an upload that the peer does not read.
    let dist = Dist::large(16_000_000);
    let gate = Gate::default();
    let hold = gate.clone();
    let mut count = 0;
    let proxy = Proxy::start(ministack().address(), move |seen| {
        if !seen.publishes() {
            return Verdict::Forward;
        }
        count += 1;
        if count <= MOST { Verdict::Stall } else { Verdict::Hold(hold.clone()) }
    });
    let under_way = || proxy.requests().iter().filter(|seen| seen.publishes()).count();
    let publisher = Publisher::at(&proxy.url(), &owner.key);
    let args = ["publish", "--execute", "--regions", "eu-west-1,us-east-1,sa-east-1", "--timeout", "5"];
    let most = MOST.to_string();
    let running = publisher.spawn(&dist, &[&args[..], &["--max-uploads", &most]].concat());
    gate.reached_by(MOST / 2);
    // That no other follows is no event.
    std::thread::sleep(std::time::Duration::from_secs(1));
    assert_eq!(under_way(), MOST + MOST / 2, "half as many go after all have stalled");
    gate.open(true);
    running.wait().expect(0).says("6 published");
}

#[test]
fn a_publish_that_takes_effect_after_the_last_attempt_is_adopted() {
    /// The plan lists the versions once, and each of five attempts lists them once before and three times after it.
    const LISTS: usize = 1 + 5 * 4;
    let owner = Account::new(ministack());
    let dist = Dist::new("after the last attempt");
    let mut layers: HashMap<String, (usize, usize, Gate)> = HashMap::new();
    let proxy = Proxy::start(ministack().address(), move |seen| {
        let path = seen.line.split('?').next().unwrap_or_default();
        if !path.ends_with("/versions") {
            return Verdict::Forward;
        }
        let layer = path.split('/').rev().nth(1).unwrap().to_owned();
        let (lists, publishes, gate) = layers.entry(layer).or_default();
        if seen.publishes() {
            *publishes += 1;
            return match *publishes {
                1 => Verdict::Late(gate.clone()),
                _ => Verdict::error(503, "ServiceUnavailableException"),
            };
        }
        *lists += 1;
        if *lists < LISTS {
            return Verdict::Forward;
        }
        // The job's last list does not show the version yet. Then the first request takes effect.
        gate.open(true);
        if *lists == LISTS {
            return Verdict::Answer(200, r#"{"LayerVersions":[]}"#.to_owned());
        }
        Verdict::Forward
    });
    let publisher = Publisher::at(&proxy.url(), &owner.key);
    publisher.run(&dist, &ARGS).expect(0).says("2 published");
    for arch in ARCHES {
        let layer = format!("SentryLambdaExtension-{arch}");
        assert_eq!(owner.versions(REGION, &layer), [1], "{arch}");
    }
    publisher.run(&dist, &["verify"]).expect(0);
}
