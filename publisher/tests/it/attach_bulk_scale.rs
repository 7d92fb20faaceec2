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
use std::{collections::BTreeMap, thread};

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
fn five_hundred_functions_take_four_requests_each_and_undo_three() {
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
    let report = publisher.run(&dist, &args).expect(0).json();
    assert_eq!(report["totals"], json!({"updated": 500}));
    let mut by_region: BTreeMap<(String, String), usize> = BTreeMap::new();
    for seen in proxy.requests().into_iter().filter(is_first_attempt) {
        *by_region.entry((seen.region, seen.service)).or_default() += 1;
    }
    for region in REGIONS {
        let count = |service: &str| by_region.get(&(region.to_owned(), service.to_owned())).copied();
        // Two pages; the aliases; and for each function a read, an update and a read.
        assert_eq!(count("lambda"), Some(2 + EACH + 3 * EACH), "{region}");
        assert_eq!(count("tagging"), Some(1), "{region}");
    }
    let before = proxy.requests().len();
    let file = report["state"].as_str().unwrap();
    let undone = publisher.run(&dist, &["attach", "--undo", file, "--execute", "--json"]).expect(0).json();
    assert_eq!(undone["totals"], json!({"updated": 500}));
    let is_lambda = |seen: &SeenRequest| seen.service == "lambda" && is_first_attempt(seen);
    let lambda = proxy.requests().iter().skip(before).filter(|seen| is_lambda(seen)).count();
    assert_eq!(
        lambda,
        4 * 500,
        "the plan reads each function, and then there are a read, an update and a read"
    );
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
    let growth = running.peak_memory().unwrap() - after_ten_pages;
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
