//! `publisher attach` for many functions, when something comes in between: throttling, Ctrl-C, another run, another
//! account, and functions that are changed or deleted.

use crate::support::{
    account::Account,
    cli::{Publisher, Run},
    dist::Dist,
    emulator::ministack,
    function::Function,
    gate::Gate,
    proxy::{Proxy, SeenRequest, Verdict},
};
use serde_json::{Value, json};
use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

const REGION: &str = "eu-west-1";

struct Case {
    owner: Account,
    dist: Dist,
    names: Vec<String>,
}

impl Case {
    fn new(seed: &str, functions: usize) -> Self {
        let owner = Account::new(ministack());
        let dist = Dist::new(seed);
        let args = ["publish", "--execute", "--regions", REGION];
        Publisher::at(&ministack().url(), &owner.key).run(&dist, &args).expect(0);
        let names: Vec<String> = (0..functions).map(|n| format!("f-{n:02}")).collect();
        for name in &names {
            Function::new(&owner, REGION, name, &json!({}));
        }
        Self { owner, dist, names }
    }

    fn function<'a>(&'a self, name: &'a str) -> Function<'a> {
        Function { account: &self.owner, region: REGION, name }
    }

    fn attached(&self) -> usize {
        self.names.iter().filter(|name| !self.function(name).layers().is_empty()).count()
    }

    fn state(&self) -> PathBuf {
        self.dist.path().join("state.jsonl")
    }

    fn args(state: &str) -> Vec<&str> {
        vec!["attach", "--match", "f-*", "--regions", REGION, "--execute", "--json", "--state", state]
    }

    fn run(&self, url: &str) -> Run {
        let state = self.state();
        Publisher::at(url, &self.owner.key).run(&self.dist, &Self::args(state.to_str().unwrap()))
    }

    fn undo(&self, key: &str) -> Run {
        let state = self.state();
        let args = ["attach", "--undo", state.to_str().unwrap(), "--execute", "--json"];
        Publisher::at(&ministack().url(), key).run(&self.dist, &args)
    }
}

fn updates(seen: &SeenRequest) -> bool {
    seen.line.starts_with("PUT ") && seen.line.ends_with("/configuration")
}

fn row(report: &Value, name: &str) -> Value {
    let rows = report["functions"].as_array().unwrap();
    rows.iter().find(|row| row["function"].as_str().unwrap().ends_with(&format!(":{name}"))).unwrap().clone()
}

#[test]
fn throttling_in_the_middle_stops_the_region_and_the_next_run_resumes() {
    let case = Case::new("throttled", 14);
    let seen = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&seen);
    let proxy = Proxy::start(ministack().address(), move |request| {
        if updates(request) && count.fetch_add(1, Ordering::SeqCst) >= 3 {
            return Verdict::error(429, "TooManyRequestsException");
        }
        Verdict::Forward
    });
    let run = case.run(&proxy.url()).expect(3).says("AWS throttles: 11 functions are not done");
    let report = run.says("run the same command again").json();
    assert_eq!(report["totals"], json!({"updated": 3, "not_begun": 11}));
    assert_eq!(case.attached(), 3);
    // Three were done, eight were on their way, and the last three were not tried.
    let tried =
        proxy.requests().iter().filter(|seen| updates(seen) && seen.head.contains("attempt=1")).count();
    assert!(tried <= 11, "{tried} functions were tried");
    let report = case.run(&ministack().url()).expect(0).json();
    assert_eq!(report["totals"], json!({"unchanged": 3, "updated": 11}));
    assert_eq!(case.undo(&case.owner.key).expect(0).json()["totals"], json!({"updated": 14}));
    assert_eq!(case.attached(), 0);
}

#[test]
fn ctrl_c_finishes_what_has_begun_and_names_what_has_not() {
    let case = Case::new("interrupted", 12);
    let gate = Gate::default();
    let hold = gate.clone();
    let proxy = Proxy::start(ministack().address(), move |request| {
        if updates(request) { Verdict::Hold(hold.clone()) } else { Verdict::Forward }
    });
    let state = case.state();
    let args = Case::args(state.to_str().unwrap());
    let mut running = Publisher::at(&proxy.url(), &case.owner.key).spawn(&case.dist, &args);
    gate.reached_by(8);
    // A second run with the same file is refused while the first one goes on.
    case.run(&ministack().url()).expect(1).says("another run is using").says("nothing was changed");
    running.interrupt();
    running.says("finishing what has begun");
    gate.open(true);
    let run = running.wait().expect(3).says("interrupted: 4 functions are not done");
    assert_eq!(run.json()["totals"], json!({"updated": 8, "not_begun": 4}));
    assert_eq!(case.attached(), 8);
    let report = case.run(&ministack().url()).expect(0).json();
    assert_eq!(report["totals"], json!({"unchanged": 8, "updated": 4}));
}

#[test]
fn a_second_ctrl_c_ends_at_once_and_undo_takes_back_what_took_effect_after_it() {
    let case = Case::new("interrupted twice", 10);
    let gate = Gate::default();
    let hold = gate.clone();
    let proxy = Proxy::start(ministack().address(), move |request| {
        if updates(request) { Verdict::HoldAnswer(hold.clone()) } else { Verdict::Forward }
    });
    let state = case.state();
    let args = Case::args(state.to_str().unwrap());
    let mut running = Publisher::at(&proxy.url(), &case.owner.key).spawn(&case.dist, &args);
    gate.reached_by(8);
    running.interrupt();
    running.says("finishing what has begun");
    running.interrupt();
    let run = running.wait().expect(3);
    assert_eq!(run.json()["totals"], json!({"unknown": 8, "not_begun": 2}));
    gate.open(false);
    assert_eq!(case.attached(), 8, "the emulator had carried them out");
    assert_eq!(case.undo(&case.owner.key).expect(0).json()["totals"], json!({"updated": 8}));
    assert_eq!(case.attached(), 0);
}

#[test]
fn functions_that_are_deleted_or_changed_in_between_are_named_and_left_alone() {
    let case = Case::new("between", 3);
    let theirs = case.owner.other_layer(REGION, "theirs");
    let delete = |account: &Account, name: &str| {
        let path = format!("/2015-03-31/functions/{name}");
        let answer = account.call("lambda", REGION, "DELETE", &path, "application/json", b"");
        assert!((200..300).contains(&answer.status()), "{answer:?}");
    };
    // The function is deleted when its aliases are listed, which is the last step of the plan.
    let account = case.owner.clone();
    let proxy = Proxy::start(ministack().address(), move |request| {
        if request.line.contains("f-02") && request.line.ends_with("/aliases") {
            delete(&account, "f-02");
        }
        Verdict::Forward
    });
    let run = case.run(&proxy.url()).expect(0);
    let report = run.json();
    assert_eq!(row(&report, "f-02")["outcome"], "deleted", "{run:?}");
    assert_eq!(report["totals"], json!({"updated": 2, "deleted": 1}));
    case.function("f-01").configure(&json!({"Layers": [theirs]}));
    let run = case.undo(&case.owner.key).expect(1);
    let report = run.json();
    assert_eq!(report["totals"], json!({"updated": 1, "refused": 1}));
    assert!(row(&report, "f-01")["why"].as_str().unwrap().contains("was changed after that run"), "{report}");
    assert_eq!(case.function("f-01").layers(), [theirs]);
    assert!(case.function("f-00").layers().is_empty());
}

#[test]
fn a_state_file_of_another_account_or_of_nobody_is_refused() {
    let case = Case::new("state", 1);
    case.run(&ministack().url()).expect(0);
    let stranger = Account::new(ministack());
    let run = case.undo(&stranger.key).expect(1);
    run.says(&format!("is of the account {}, and these credentials are of {}", case.owner.key, stranger.key));
    assert_eq!(case.attached(), 1);
    std::fs::write(case.state(), "no state\n").unwrap();
    case.undo(&case.owner.key).expect(1).says("is not a state file");
    case.run(&ministack().url()).expect(1).says("is not a state file");
    std::fs::remove_file(case.state()).unwrap();
    case.undo(&case.owner.key).expect(1).says("cannot use");
    assert!(!case.state().exists());
}

#[test]
fn two_runs_at_once_from_different_machines_do_no_harm() {
    let case = Case::new("two", 8);
    let gate = Gate::default();
    let hold = gate.clone();
    let proxy = Proxy::start(ministack().address(), move |request| {
        if updates(request) { Verdict::Hold(hold.clone()) } else { Verdict::Forward }
    });
    let state = case.state();
    let args = Case::args(state.to_str().unwrap());
    let running = Publisher::at(&proxy.url(), &case.owner.key).spawn(&case.dist, &args);
    gate.reached_by(8);
    let other = case.dist.path().join("other.jsonl");
    let publisher = Publisher::at(&ministack().url(), &case.owner.key);
    let second = publisher.run(&case.dist, &Case::args(other.to_str().unwrap())).expect(0);
    assert_eq!(second.json()["totals"], json!({"updated": 8}));
    gate.open(true);
    // The updates of the first run name a revision that is over, so it looks again and finds what the second run did.
    assert_eq!(running.wait().expect(0).json()["totals"], json!({"updated": 8}));
    let updates = proxy.requests().iter().filter(|seen| updates(seen)).count();
    assert_eq!(updates, 8, "nothing was written twice");
    assert!(case.names.iter().all(|name| case.function(name).layers().len() == 1));
}
