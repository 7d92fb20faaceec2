//! Kills the publisher at every request and runs it again. Nothing is published twice, and nothing is left out.

use crate::support::{
    account::Account,
    cli::Publisher,
    dist::{ARCHES, Dist, layer_name},
    emulator::ministack,
    gate::Gate,
    proxy::{Proxy, SeenRequest, Verdict},
};
use std::{
    io::Write,
    sync::{Arc, Mutex},
    thread,
};

const ARGS: [&str; 4] = ["publish", "--execute", "--regions", "eu-west-1"];

/// How far the request has got when the publisher is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum When {
    /// The request never arrives.
    Lost,
    /// The request has taken effect, but its response has not arrived.
    Answered,
    /// The request takes effect only while the next run looks for its result.
    Late,
}

struct Outcome {
    nth: usize,
    request_line: String,
    when: When,
    state: String,
    duplicates: usize,
}

/// Kills the publisher at its nth request for one of the layers, runs it again, and counts the duplicates. Returns none
/// if the publisher makes fewer requests.
fn kill_at(nth: usize, when: When) -> Option<Outcome> {
    let owner = Account::new(ministack());
    let dist = Dist::new(&format!("killed {nth} {when:?}"));
    let gate = Gate::default();
    let held: Arc<Mutex<Option<SeenRequest>>> = Arc::default();
    let (rule_gate, rule_held) = (gate.clone(), Arc::clone(&held));
    let mut count = 0;
    let proxy = Proxy::start(ministack().address(), move |seen| {
        count += usize::from(seen.service == "lambda" && seen.line.contains("arm64"));
        if rule_held.lock().unwrap().is_some() || count < nth {
            return Verdict::Forward;
        }
        *rule_held.lock().unwrap() = Some(seen.clone());
        match when {
            When::Lost | When::Late => Verdict::Hold(rule_gate.clone()),
            When::Answered => Verdict::HoldAnswer(rule_gate.clone()),
        }
    });
    let publisher = Publisher::at(&proxy.url(), &owner.key);
    let mut running = publisher.spawn(&dist, &ARGS);
    if !gate.reached_or(|| running.has_ended()) {
        running.wait().expect(0);
        return None;
    }
    running.kill();
    let request_line = held.lock().unwrap().as_ref().unwrap().line.clone();
    if when == When::Late && !(request_line.starts_with("POST ") && request_line.ends_with("/versions")) {
        gate.open(false);
        return Some(Outcome { nth, request_line, when, state: String::new(), duplicates: 0 });
    }
    let journal = dist.journal();
    let state = journal.iter().rev().find(|entry| entry["arch"] == "arm64");
    let state = state.map_or("-".to_owned(), |entry| entry["state"].as_str().unwrap().to_owned());
    if when == When::Late {
        // The request takes effect at the third list. A run without a journal lists only twice, for the plan and right
        // before publishing. So only the journal makes the run find the version.
        let opener = gate.clone();
        let mut lists = 0;
        let second = Proxy::start(ministack().address(), move |seen| {
            let looks = seen.line.starts_with("GET ") && seen.line.contains("arm64/versions");
            lists += usize::from(looks);
            if lists == 3 {
                opener.open(true);
            }
            Verdict::Forward
        });
        Publisher::at(&second.url(), &owner.key).run(&dist, &ARGS).expect(0);
        let again =
            second.requests().into_iter().filter(|seen| seen.publishes() && seen.line.contains("arm64"));
        assert_eq!(again.count(), 0, "published again after {state}");
    } else {
        gate.open(false);
        Publisher::at(&ministack().url(), &owner.key).run(&dist, &ARGS).expect(0);
    }
    let publisher = Publisher::at(&ministack().url(), &owner.key);
    publisher.run(&dist, &["verify"]).expect(0).says("2 layer versions are as");
    publisher.run(&dist, &["publish", "--regions", "eu-west-1"]).expect(0).says("nothing to do");
    let duplicates = ARCHES
        .iter()
        .map(|arch| owner.versions("eu-west-1", &layer_name(arch)).len().saturating_sub(1))
        .sum();
    Some(Outcome { nth, request_line, when, state, duplicates })
}

#[test]
fn a_run_killed_at_any_request_is_resumed_without_duplicates() {
    let worker =
        |when| thread::spawn(move || (1..).map_while(|nth| kill_at(nth, when)).collect::<Vec<Outcome>>());
    let workers = [When::Lost, When::Answered, When::Late].map(worker);
    let outcomes = workers.into_iter().flat_map(|worker| worker.join().unwrap());
    let mut outcomes: Vec<Outcome> = outcomes.collect();
    outcomes.retain(|outcome| !outcome.state.is_empty());
    println!("killed at request            journal said  duplicates");
    for o in &outcomes {
        let operation = o.request_line.replace("/2018-10-31/layers/SentryLambdaExtension-", "");
        println!(
            "{:>2} {:<9} {operation:<34} {:<12} {}",
            o.nth,
            format!("{:?}", o.when),
            o.state,
            o.duplicates
        );
    }
    let at = |when: When| outcomes.iter().filter(|outcome| outcome.when == when).count();
    assert!(
        at(When::Lost) >= 9 && at(When::Answered) >= 9 && at(When::Late) >= 1,
        "too few requests were held"
    );
    for state in ["waiting", "publishing", "published", "granting", "granted"] {
        assert!(outcomes.iter().any(|outcome| outcome.state == state), "never killed while {state}");
    }
    assert!(outcomes.iter().all(|outcome| outcome.duplicates == 0));
}

#[test]
fn an_incomplete_or_lost_journal_changes_nothing() {
    let owner = Account::new(ministack());
    let dist = Dist::new("torn");
    let publisher = Publisher::at(&ministack().url(), &owner.key);
    publisher.run(&dist, &ARGS).expect(0);
    let path = dist.journal_file().unwrap();
    let mut file = std::fs::File::options().append(true).open(&path).unwrap();
    file.write_all(br#"{"at":"2026-01-01T00:00:00Z","account":"2000"#).unwrap();
    publisher.run(&dist, &ARGS).expect(0).says("nothing to do");
    let states: Vec<_> = dist.journal().iter().map(|entry| entry["state"].clone()).collect();
    assert_eq!(states.iter().filter(|state| *state == "done").count(), 4, "{states:?}");
    std::fs::remove_file(path).unwrap();
    std::fs::remove_file(dist.path().join("layers.json")).unwrap();
    publisher.run(&dist, &ARGS).expect(0).says("nothing to do");
    for arch in ARCHES {
        assert_eq!(owner.versions("eu-west-1", &layer_name(arch)), [1]);
    }
}
