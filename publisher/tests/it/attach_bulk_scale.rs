//! `publisher attach` for hundreds of functions in many regions, and in an account with thousands: the requests are
//! counted, and what is not meant takes no memory.

use crate::support::{
    account::Account,
    cli::Publisher,
    dist::Dist,
    emulator::ministack,
    function::Function,
    gate::Gate,
    proxy::{Proxy, SeenRequest, Verdict},
};
use serde_json::{Value, json};
use std::{collections::BTreeMap, thread, time::Duration};

const REGIONS: [&str; 10] = [
    "us-east-1",
    "us-east-2",
    "us-west-1",
    "us-west-2",
    "eu-west-1",
    "eu-west-2",
    "eu-west-3",
    "eu-central-1",
    "eu-north-1",
    "sa-east-1",
];
const EACH: usize = 50;

/// Whether the request is not the SDK's repetition of one that a busy emulator has not answered.
fn is_first_attempt(seen: &SeenRequest) -> bool {
    seen.head.contains("attempt=1")
}

#[test]
fn five_hundred_functions_take_a_few_requests_each_and_undo_the_same() {
    let owner = Account::new(ministack());
    let dist = Dist::new("five hundred");
    let regions = REGIONS.join(",");
    let args = ["publish", "--execute", "--regions", &regions];
    Publisher::at(&ministack().url(), &owner.key).run(&dist, &args).expect(0);
    thread::scope(|scope| {
        for region in REGIONS {
            let owner = &owner;
            scope.spawn(move || {
                for n in 0..EACH {
                    Function::new(owner, region, &format!("orders-{n}"), &json!({}));
                }
                Function::new(owner, region, "billing", &json!({}));
            });
        }
    });
    let proxy = Proxy::start(ministack().address(), |_| Verdict::Forward);
    let publisher = Publisher::at(&proxy.url(), &owner.key);
    let args = ["attach", "--match", "orders-*", "--regions", &regions, "--execute", "--json"];
    // One region after the other would take 200 s at least.
    let report = publisher.run(&dist, &args).expect(0).within(Duration::from_secs(150)).json();
    assert_eq!(report["totals"], json!({"updated": 500}));
    for region in REGIONS {
        assert_is_paced(&proxy.requests(), region);
    }
    let mut by_region: BTreeMap<(String, &str), usize> = BTreeMap::new();
    for seen in proxy.requests().into_iter().filter(is_first_attempt) {
        let kind = kind(&seen);
        *by_region.entry((seen.region, kind)).or_default() += 1;
    }
    for region in REGIONS {
        let count = |kind| by_region.get(&(region.to_owned(), kind)).copied().unwrap_or_default();
        let exact = [count("tags"), count("list"), count("aliases"), count("update")];
        assert_eq!(exact, [1, 2, EACH, EACH], "{region}");
        assert!(is_two_each(count("read"), EACH), "{region}: {} reads", count("read"));
    }
    let before = proxy.requests().len();
    let file = report["state"].as_str().unwrap();
    let undone = publisher.run(&dist, &["attach", "--undo", file, "--execute", "--json"]).expect(0).json();
    assert_eq!(undone["totals"], json!({"updated": 500}));
    let seen: Vec<SeenRequest> = proxy.requests().into_iter().skip(before).filter(is_first_attempt).collect();
    let count = |wanted| seen.iter().filter(|seen| kind(seen) == wanted).count();
    assert_eq!((count("update"), count("list"), count("aliases")), (500, 0, 0));
    // The plan reads each function once more.
    assert!(is_two_each(count("read") - 500, 500), "{} reads", count("read"));
}

/// Checks that a region has got 10 requests a second, and no more. A busy machine may hold up the first ones.
fn assert_is_paced(requests: &[SeenRequest], region: &str) {
    let there: Vec<_> =
        requests.iter().filter(|seen| seen.region == region && seen.service == "lambda").collect();
    let (first, last) = (there.first().unwrap().at, there.last().unwrap().at);
    let shortest = Duration::from_millis(100) * u32::try_from(there.len() - 1).unwrap();
    let took = last - first;
    assert!(took + Duration::from_secs(3) > shortest, "{region}: {} requests in {took:?}", there.len());
}

/// What a request is for.
fn kind(seen: &SeenRequest) -> &'static str {
    match (seen.service.as_str(), seen.line.as_str()) {
        ("tagging", _) => "tags",
        ("lambda", line) if line.starts_with("PUT ") => "update",
        ("lambda", line) if line.ends_with("/aliases") => "aliases",
        ("lambda", line) if line.ends_with("/configuration") => "read",
        ("lambda", line) if line.contains("/functions") => "list",
        _ => "other",
    }
}

/// Whether there is a read before and one after each update. An update that is still in progress costs one more.
fn is_two_each(reads: usize, functions: usize) -> bool {
    (2 * functions..=3 * functions).contains(&reads)
}

/// An account with ten thousand functions, of which three match. Each has variables of 4 KB.
#[test]
fn ten_thousand_functions_are_read_page_by_page_and_not_kept() {
    const ALL: usize = 10_000;
    let owner = Account::new(ministack());
    let dist = Dist::new("ten thousand");
    let args = ["publish", "--execute", "--regions", "eu-west-1"];
    Publisher::at(&ministack().url(), &owner.key).run(&dist, &args).expect(0);
    let (early, late) = (Gate::default(), Gate::default());
    let (first, last) = (early.clone(), late.clone());
    let key = owner.key.clone();
    let page = move |from: usize| {
        let function = |n: usize| {
            let name = if n.is_multiple_of(4000) { format!("orders-{n}") } else { format!("f-{n}") };
            json!({
                "FunctionName": name, "FunctionArn": format!("arn:aws:lambda:eu-west-1:{key}:function:{name}"),
                "Runtime": "python3.13", "PackageType": "Zip", "Architectures": ["x86_64"], "RevisionId": "1",
                "CodeSize": 1, "Environment": {"Variables": {"BIG": "x".repeat(4000)}}
            })
        };
        let functions: Vec<Value> = (from..(from + 50).min(ALL)).map(function).collect();
        let next = (from + 50 < ALL).then(|| (from + 50).to_string());
        json!({"Functions": functions, "NextMarker": next}).to_string()
    };
    let proxy = Proxy::start(ministack().address(), move |seen| {
        if seen.service == "tagging" {
            return Verdict::Answer(200, json!({"ResourceTagMappingList": []}).to_string());
        }
        if seen.line.contains("aliases") {
            return Verdict::Answer(200, json!({"Aliases": []}).to_string());
        }
        if seen.service != "lambda" {
            return Verdict::Forward;
        }
        let from = seen.line.split("Marker=").nth(1).map_or(0, |rest| rest.parse().unwrap());
        let answer = Verdict::Answer(200, page(from));
        match from {
            500 => Verdict::HoldThen(first.clone(), Box::new(answer)),
            9950 => Verdict::HoldThen(last.clone(), Box::new(answer)),
            _ => answer,
        }
    });
    let publisher = Publisher::at(&proxy.url(), &owner.key);
    let args = ["attach", "--match", "orders-*", "--regions", "eu-west-1", "--json"];
    let running = publisher.spawn(&dist, &args);
    early.reached();
    let after_ten_pages = running.peak_memory().unwrap();
    early.open(true);
    late.reached();
    let growth = running.peak_memory().unwrap().saturating_sub(after_ten_pages);
    late.open(true);
    let report = running.wait().expect(0).json();
    assert_eq!(report["totals"], json!({"planned": 3}));
    let pages = proxy
        .requests()
        .iter()
        .filter(|seen| seen.line.contains("/functions") && !seen.line.contains("aliases"))
        .count();
    assert_eq!(pages, ALL / 50);
    assert!(growth < 16 << 20, "{growth} bytes more for 9,500 functions with variables of 38 MB");
}
