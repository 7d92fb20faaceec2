//! `publisher doctor --aws` says whose credentials these are, which regions are ready, and how much room they have.

use crate::support::{
    account::Account,
    cli::Publisher,
    emulator::ministack,
    proxy::{Proxy, Verdict},
};
use serde_json::{Value, json};

fn region(report: &Value, name: &str) -> Value {
    let regions = report["regions"].as_array().unwrap();
    regions.iter().find(|check| check["region"] == name).unwrap_or_else(|| panic!("{name}: {report}")).clone()
}

#[test]
fn the_caller_the_regions_and_their_room_are_shown_and_nothing_is_written() {
    let owner = Account::new(ministack());
    let proxy = Proxy::start(ministack().address(), |_| Verdict::Forward);
    let publisher = Publisher::at(&proxy.url(), &owner.key);
    let report = publisher.run_bare(&["doctor", "--aws", "--json"]).expect(0).json();
    assert_eq!(report["account"], owner.key.as_str());
    assert!(report["caller"].as_str().unwrap().contains(&format!(":{}:", owner.key)), "{report}");
    assert_eq!(report["partition"], "aws");
    assert!(report["regions"].as_array().unwrap().len() > 20, "{report}");
    let ireland = region(&report, "eu-west-1");
    assert_eq!(ireland["state"], "ok", "{ireland}");
    assert!(ireland["room"].as_i64().unwrap() > 1 << 30, "{ireland}");
    let run = publisher.run_bare(&["doctor", "--aws", "--regions", "eu-west-*"]).expect(0);
    assert!(run.stdout.lines().count() == 4 && run.stdout.contains(" MiB"), "{}", run.stdout);
    let wrote = |line: &str| line.contains("/20") && !line.starts_with("GET ");
    assert!(proxy.requests().iter().all(|seen| !wrote(&seen.line)));
}

#[test]
fn regions_that_are_disabled_full_closed_or_unreachable_are_told_apart() {
    let owner = Account::new(ministack());
    let settings = |left: i64| {
        let settings = json!({
            "AccountLimit": {"TotalCodeSize": 1_000_000_000_i64},
            "AccountUsage": {"TotalCodeSize": 1_000_000_000_i64 - left}
        });
        Verdict::Answer(200, settings.to_string())
    };
    let proxy = Proxy::start(ministack().address(), move |seen| {
        match (seen.service.as_str(), seen.region.as_str()) {
            ("account", _) => {
                let all = [
                    ("eu-west-1", "ENABLED"),
                    ("eu-west-2", "ENABLED"),
                    ("eu-west-3", "ENABLED"),
                    ("us-east-1", "ENABLED_BY_DEFAULT"),
                    ("af-south-1", "DISABLED"),
                ];
                let all = all.map(|(name, state)| json!({"RegionName": name, "RegionOptStatus": state}));
                Verdict::Answer(200, json!({"Regions": all}).to_string())
            }
            ("lambda", "eu-west-1") => settings(5_000_000),
            ("lambda", "eu-west-2") => Verdict::error(403, "AccessDeniedException"),
            ("lambda", "eu-west-3") => Verdict::error(403, "UnrecognizedClientException"),
            ("lambda", _) => settings(500_000_000),
            _ => Verdict::Forward,
        }
    });
    let publisher = Publisher::at(&proxy.url(), &owner.key);
    let run = publisher.run_bare(&["doctor", "--aws", "--json"]).expect(1);
    let report = run.json();
    let expected = [
        ("af-south-1", "disabled", Value::Null),
        ("eu-west-1", "full", json!(5_000_000)),
        ("eu-west-2", "denied", Value::Null),
        ("eu-west-3", "failed", Value::Null),
        ("us-east-1", "ok", json!(500_000_000)),
    ];
    for (name, state, room) in expected {
        let check = region(&report, name);
        assert_eq!((&check["state"], &check["room"]), (&json!(state), &room), "{check}");
    }
    run.says("not ready: eu-west-1, eu-west-3");
    publisher.run_bare(&["doctor", "--aws", "--regions", "us-east-1"]).expect(0);
    publisher.run_bare(&["doctor", "--regions", "us-east-1"]).expect(2).says("add --aws");
    let named = publisher.run_bare(&["doctor", "--aws", "--regions", "us-east-1,af-south-1"]).expect(1);
    named.says("not ready: af-south-1");
}
