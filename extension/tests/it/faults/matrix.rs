//! Runs all cells concurrently, and prints a table of their counts.

use super::{
    cell::{Counts, Fault},
    phases::Phase,
};
use crate::support::{netns::isolated, resolver::Answers, scripted_upstream::Behavior};
use std::{
    collections::VecDeque,
    fmt::Write as _,
    fs,
    panic::{self, AssertUnwindSafe},
    path::Path,
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

/// The number of cells that run at a time. It may be larger than the number of CPUs, because cells mostly wait.
const CONCURRENT_CELLS: usize = 16;

fn faults() -> Vec<Fault> {
    let fault = |name, behavior| Fault {
        name,
        behavior,
        tls: false,
        names: None,
        rejects: false,
        quick: true,
        fails: true,
    };
    let slow = |seconds: f64| Behavior::Slow(Duration::from_secs_f64(seconds));
    let hangs = |fault: Fault| Fault { quick: false, ..fault };
    let answers = |fault: Fault| Fault { fails: false, ..fault };
    let encrypted = |fault: Fault| Fault { tls: true, ..fault };
    let rejects = |fault: Fault| Fault { rejects: true, fails: false, ..fault };
    let names = |names, fault: Fault| Fault { names: Some(names), ..fault };
    vec![
        fault("refused", Behavior::Refuse),
        names(Answers::NoSuchName, fault("DNS: no such name", Behavior::Well)),
        hangs(names(Answers::Nothing, fault("DNS: no answer", Behavior::Well))),
        hangs(fault("connect hangs", Behavior::Blackhole)),
        hangs(encrypted(fault("TLS stalls", Behavior::Stall))),
        hangs(fault("no answer", Behavior::Stall)),
        encrypted(fault("bad certificate", Behavior::BadCertificate)),
        fault("reset before", Behavior::ResetBefore),
        fault("reset within", Behavior::ResetWithin),
        fault("reset after", Behavior::ResetAfter),
        fault("reset after, TLS", Behavior::ResetAfter).pipe(encrypted),
        fault("500", Behavior::Answer(500, "")),
        fault("503, then fine", Behavior::Answer(503, "")),
        rejects(fault(
            "429 with limits",
            Behavior::Answer(429, "retry-after: 1\r\nx-sentry-rate-limits: 1:session:key\r\n"),
        )),
        fault("429 without limits", Behavior::Answer(429, "")),
        rejects(fault("400", Behavior::Answer(400, ""))),
        answers(fault("slow, 1 s", slow(1.0))),
        hangs(fault("slow, 3 s", slow(3.0))),
        answers(fault("endless answer", Behavior::Endless)),
        hangs(fault("1 B/s", Behavior::Drip)),
        fault("garbage", Behavior::Garbage),
        answers(fault("half-closed", Behavior::HalfClose)),
    ]
}

impl Fault {
    fn pipe(self, change: impl FnOnce(Self) -> Self) -> Self {
        change(self)
    }
}

type Outcome = Result<Counts, String>;

#[test]
fn faults_and_phases() {
    isolated(|| async {
        let faults = faults();
        let cells = faults.iter().flat_map(|fault| Phase::ALL.map(|phase| (fault.clone(), phase)));
        let cells: Arc<Mutex<VecDeque<_>>> = Arc::new(Mutex::new(cells.enumerate().collect()));
        let outcomes: Arc<Mutex<Vec<(usize, Outcome)>>> = Arc::default();
        let workers = (0..CONCURRENT_CELLS).map(|_| {
            let (cells, outcomes) = (Arc::clone(&cells), Arc::clone(&outcomes));
            thread::spawn(move || {
                loop {
                    let Some((nth, (fault, phase))) = cells.lock().unwrap().pop_front() else { return };
                    let outcome = run(fault, phase);
                    outcomes.lock().unwrap().push((nth, outcome));
                }
            })
        });
        for worker in workers.collect::<Vec<_>>() {
            worker.join().unwrap();
        }
        let mut outcomes = std::mem::take(&mut *outcomes.lock().unwrap());
        outcomes.sort_by_key(|(nth, _)| *nth);
        let outcomes: Vec<Outcome> = outcomes.into_iter().map(|(_, outcome)| outcome).collect();
        let table = table(&faults, &outcomes);
        eprintln!("{table}");
        let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
        fs::write(target.join("fault-matrix.txt"), &table).unwrap();
        let failures: Vec<&String> = outcomes.iter().filter_map(|outcome| outcome.as_ref().err()).collect();
        assert!(failures.is_empty(), "{} cells failed", failures.len());
    });
}

/// Runs a cell in a network of its own. If it panics, the message is printed at once.
fn run(fault: Fault, phase: Phase) -> Outcome {
    let counts = Arc::new(Mutex::new(Counts::default()));
    let counted = Arc::clone(&counts);
    let cell = move || isolated(move || async move { *counted.lock().unwrap() = phase.run(fault).await });
    match panic::catch_unwind(AssertUnwindSafe(cell)) {
        Ok(()) => Ok(counts.lock().unwrap().clone()),
        Err(panic) => {
            let text = panic.downcast_ref::<String>().cloned();
            let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
            Err(text.unwrap_or_else(|| "panicked".to_owned()))
        }
    }
}

/// Formats a line for each cell: accepted = delivered + rejected + dropped, then the requests that arrived, the second
/// deliveries among them, the lost responses, and the times.
fn table(faults: &[Fault], outcomes: &[Outcome]) -> String {
    let mut table = format!(
        "{:20} {:10} {:>4} {:>4} {:>4} {:>4} {:>4} {:>5} {:>6} {:>7} {:>7}\n",
        "fault", "phase", "acc", "dlv", "rej", "drop", "arr", "twice", "unansw", "held", "ended"
    );
    for (nth, outcome) in outcomes.iter().enumerate() {
        let (fault, phase) = (&faults[nth / Phase::ALL.len()], Phase::ALL[nth % Phase::ALL.len()]);
        let result = match outcome {
            Ok(c) => format!(
                "{:4} {:4} {:4} {:4} {:4} {:5} {:6} {:4} ms {:4} ms",
                c.accepted,
                c.delivered,
                c.rejected,
                c.dropped,
                c.arrived,
                c.twice,
                c.unanswered,
                c.held.as_millis(),
                c.ended.as_millis()
            ),
            Err(why) => format!("FAILED: {}", why.lines().next().unwrap_or_default()),
        };
        writeln!(table, "{:20} {:10} {result}", fault.name, phase.name()).unwrap();
    }
    let good: Vec<&Counts> = outcomes.iter().filter_map(|outcome| outcome.as_ref().ok()).collect();
    let sum = |count: fn(&Counts) -> u64| good.iter().map(|counts| count(counts)).sum::<u64>();
    writeln!(
        table,
        "{} of {} cells hold: {} accepted = {} delivered + {} rejected + {} dropped; {} twice, {} unanswered",
        good.len(),
        outcomes.len(),
        sum(|c| c.accepted),
        sum(|c| c.delivered),
        sum(|c| c.rejected),
        sum(|c| c.dropped),
        sum(|c| c.twice as u64),
        sum(|c| c.unanswered)
    )
    .unwrap();
    table
}
