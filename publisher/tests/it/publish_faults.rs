//! Injects every kind of fault into one region of two. No layer is published twice, the healthy region is finished, and
//! the error names what failed.
//!
//! `cargo test -p publisher --test it publish_faults -- --nocapture` prints the table.

use crate::support::{
    account::Account,
    cli::Publisher,
    dist::{ARCHES, Dist, layer_name},
    emulator::ministack,
    gate::Gate,
    proxy::{Proxy, SeenRequest, Verdict},
};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    thread,
};

const HEALTHY_REGION: &str = "eu-west-1";
const FAULTY_REGION: &str = "us-east-1";

struct Case {
    name: &'static str,
    code: i32,
    /// A text that the output contains if the run fails.
    says: &'static str,
    rule: Box<dyn FnMut(&SeenRequest) -> Verdict + Send>,
}

/// Applies the verdict to the first `n` requests of a kind, counted for each layer.
fn first(
    n: usize,
    kind: impl Fn(&SeenRequest) -> bool + Send + 'static,
    verdict: impl Fn() -> Verdict + Send + 'static,
) -> Box<dyn FnMut(&SeenRequest) -> Verdict + Send> {
    let mut counts: HashMap<String, usize> = HashMap::new();
    Box::new(move |seen| {
        if seen.region != FAULTY_REGION || seen.service != "lambda" || !kind(seen) {
            return Verdict::Forward;
        }
        let count = counts.entry(seen.line.clone()).or_default();
        *count += 1;
        if *count <= n { verdict() } else { Verdict::Forward }
    })
}

fn case(
    name: &'static str,
    code: i32,
    says: &'static str,
    rule: Box<dyn FnMut(&SeenRequest) -> Verdict + Send>,
) -> Case {
    Case { name, code, says, rule }
}

fn any_request(seen: &SeenRequest) -> bool {
    !seen.line.is_empty()
}

fn throttled() -> Verdict {
    Verdict::error(429, "TooManyRequestsException")
}

fn unavailable() -> Verdict {
    Verdict::error(503, "ServiceUnavailableException")
}

const FOREVER: usize = usize::MAX;

fn cases() -> Vec<Case> {
    let publishes = SeenRequest::publishes;
    let late = || {
        let gate = Gate::default();
        let mut held = first(1, publishes, {
            let gate = gate.clone();
            move || Verdict::Late(gate.clone())
        });
        Box::new(move |seen: &SeenRequest| {
            // The grant comes after the repeated publish. Only then does the lost request take effect.
            if seen.region == FAULTY_REGION && seen.grants() {
                gate.open(true);
            }
            held(seen)
        })
    };
    vec![
        case("all well", 0, "", Box::new(|_| Verdict::Forward)),
        case("every call: 429 twice, then fine", 0, "", first(2, any_request, throttled)),
        case("publish: 429 twice, then fine", 0, "", first(2, publishes, throttled)),
        case("every call: 429 for ever", 3, "TooManyRequests", first(FOREVER, any_request, throttled)),
        case("publish: 429 for ever", 3, "TooManyRequests", first(FOREVER, publishes, throttled)),
        case("publish: 503 once", 0, "", first(1, publishes, unavailable)),
        case("publish: 503, but it took effect", 0, "", {
            first(1, publishes, || Verdict::ForwardAndAnswer(503, "{}".to_owned()))
        }),
        case("publish: 503 for ever", 3, "ServiceUnavailable", first(FOREVER, publishes, unavailable)),
        case("publish: reset before it arrived", 0, "", first(1, publishes, || Verdict::Cut)),
        case("publish: reset after it arrived", 0, "", first(1, publishes, || Verdict::ForwardAndCut)),
        case("publish: answer truncated", 0, "", first(1, publishes, || Verdict::ForwardAndTruncate)),
        case("publish: answer hangs", 0, "", first(1, publishes, || Verdict::ForwardAndHang)),
        case("publish: never read", 0, "", first(1, publishes, || Verdict::Stall)),
        case("publish: lost, takes effect after the next", 0, "", late()),
        case("every call: first answer lost", 0, "", first(1, any_request, || Verdict::ForwardAndCut)),
        case("grant: 403", 3, "AccessDenied", {
            first(FOREVER, SeenRequest::grants, || Verdict::error(403, "AccessDeniedException"))
        }),
        case("grant: answer lost", 0, "", first(1, SeenRequest::grants, || Verdict::ForwardAndCut)),
        case("region not enabled", 3, "not enabled", {
            first(FOREVER, any_request, || Verdict::error(403, "UnrecognizedClientException"))
        }),
        case("credentials expired", 3, "the credentials have expired, renew them", {
            let mut begun = false;
            Box::new(move |seen| {
                begun |= seen.grants();
                let expired = begun && seen.service == "lambda";
                if expired { Verdict::error(403, "ExpiredTokenException") } else { Verdict::Forward }
            })
        }),
        case("region hangs", 3, "ListLayerVersions", first(FOREVER, any_request, || Verdict::Hang)),
        case(
            "region resets every connection",
            3,
            "ListLayerVersions",
            first(FOREVER, any_request, || Verdict::Cut),
        ),
    ]
}

struct Result {
    name: &'static str,
    code: Option<i32>,
    done: usize,
    duplicates: usize,
    removed: usize,
    seconds: f64,
    resumed: Option<i32>,
    duplicates_after: usize,
}

fn run(case: Case) -> Result {
    let owner = Account::new(ministack());
    let dist = Dist::new(case.name);
    let proxy = Proxy::start(ministack().address(), case.rule);
    let publisher = Publisher::at(&proxy.url(), &owner.key);
    let regions = format!("{HEALTHY_REGION},{FAULTY_REGION}");
    let args = ["publish", "--execute", "--timeout", "2", "--regions", &regions];
    let first = publisher.run(&dist, &args);
    let first =
        if case.code == 0 { first } else { first.says(case.says).says(FAULTY_REGION).says("to resume") };
    let count = |region: &str| -> (usize, usize) {
        let copies = ARCHES.map(|a| owner.copies(region, &layer_name(a), &dist.code_sha256(a)).len());
        let all = ARCHES.map(|a| owner.versions(region, &layer_name(a)).len());
        assert_eq!(copies, all, "only our bytes");
        (copies.iter().filter(|n| **n > 0).count(), copies.iter().map(|n| n.saturating_sub(1)).sum())
    };
    let duplicates = count(HEALTHY_REGION).1 + count(FAULTY_REGION).1;
    let done = first.stdout.lines().filter(|line| {
        ["published", "granted", "adopted", "repaired"].iter().any(|state| line.contains(state))
    });
    let (done, code, seconds) = (done.count(), first.code, first.took.as_secs_f64());
    let healthy = Publisher::at(&ministack().url(), &owner.key);
    let resumed = healthy.run(&dist, &args).code;
    healthy.run(&dist, &["verify"]).expect(0).says("4 layer versions are as");
    let duplicates_after = count(HEALTHY_REGION).1 + count(FAULTY_REGION).1;
    let removed = proxy.requests().iter().filter(|seen| seen.line.starts_with("DELETE ")).count();
    Result { name: case.name, code, done, duplicates, removed, seconds, resumed, duplicates_after }
}

#[test]
fn no_fault_publishes_a_layer_twice() {
    let expected: Vec<(&str, i32)> = cases().iter().map(|case| (case.name, case.code)).collect();
    let queue = Arc::new(Mutex::new(cases()));
    let workers: Vec<_> = (0..6)
        .map(|_| {
            let queue = Arc::clone(&queue);
            thread::spawn(move || {
                let mut results = Vec::new();
                loop {
                    let Some(case) = queue.lock().unwrap().pop() else { return results };
                    results.push(run(case));
                }
            })
        })
        .collect();
    let mut results: Vec<Result> = workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect();
    results.sort_by_key(|result| expected.iter().position(|(name, _)| *name == result.name));
    println!(
        "{:<44} exit  done  duplicates  removed  seconds  resumed  duplicates",
        "fault in one of two regions"
    );
    for r in &results {
        let (code, resumed) = (r.code.unwrap_or(-1), r.resumed.unwrap_or(-1));
        println!(
            "{:<44} {code:>4}  {}/4  {:>10}  {:>7}  {:>7.1}  {resumed:>7}  {:>10}",
            r.name, r.done, r.duplicates, r.removed, r.seconds, r.duplicates_after
        );
    }
    for (result, (name, code)) in results.iter().zip(&expected) {
        assert_eq!((result.name, result.code), (*name, Some(*code)));
        assert_eq!((result.duplicates, result.duplicates_after), (0, 0), "{name}");
        assert_eq!(result.resumed, Some(0), "{name}");
        // One late version of each architecture is removed, and only in this case.
        assert_eq!(result.removed, if name.contains("after the next") { 2 } else { 0 }, "{name}");
        // The healthy region is finished, whatever happens in the other one.
        let least = if *code == 0 { 4 } else { 2 };
        assert!(result.done >= least || *name == "credentials expired", "{name}: {}", result.done);
    }
}
