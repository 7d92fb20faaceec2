//! Posts lines of the function as Lambda's telemetry does, for their instructions, their CPU time, and the memory that
//! they take.

use crate::api::{self, Api};
use crate::envelope::KEY;
use crate::micros;
use crate::outcome::Outcome;
use crate::process::Process;
use crate::upstream::Upstream;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

#[derive(Deserialize)]
pub(crate) struct Specification {
    extension: Vec<String>,
    env: BTreeMap<String, String>,
    /// The record of each line, as JSON.
    record: String,
    /// The number of lines in a batch.
    lines: u64,
    batches: u64,
    /// The number of lines a second. If it is 0, they are posted as fast as they are taken.
    rate: u64,
    /// Whether upstream answers. If it does not, the envelopes stay in the queue, so that their delivery is not
    /// measured.
    answers: bool,
}

const REQUEST: &str = "8442603f-da10-42d2-bf58-c33a31978aad";
/// The number of batches before the measurement starts. They open the connections and load the code.
const WARM_UP: u64 = 2;
/// Longer than any experiment.
const NEVER: Duration = Duration::from_hours(1);
/// The part of the batches after which memory is measured for the first time.
const EARLY: u64 = 10;

pub(crate) fn run(specification: &Specification) -> Outcome<Value> {
    let Specification { lines, batches, rate, .. } = *specification;
    let delay = if specification.answers { Duration::ZERO } else { NEVER };
    let upstream = Upstream::start("127.0.0.1:0", None, delay)?;
    let api = Api::start()?;
    let mut env = specification.env.clone();
    env.insert("SENTRY_DSN".to_owned(), format!("http://{KEY}@{}/42", upstream.address));
    let process = Process::extension(&specification.extension, &env, api.address)?;
    api.wait_for_next()?;
    let mut telemetry = api.telemetry()?;
    api.invoke(REQUEST)?;
    api::post_records(&mut telemetry, &format!("[{}]", platform("start", "")))?;
    let line = format!(
        r#"{{"time":"2026-01-01T00:00:00.000Z","type":"function","record":{}}}"#,
        specification.record
    );
    let batch = format!("[{}]", vec![line; usize::try_from(lines)?].join(","));
    for _ in 0..WARM_UP {
        api::post_records(&mut telemetry, &batch)?;
    }
    let (cpu, begun) = (process.cpu()?, Instant::now());
    let mut early = process.memory()?;
    for number in 0..batches {
        if let Some(second) = (number * lines * 1000).checked_div(rate) {
            let due = begun + Duration::from_millis(second);
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
        }
        api::post_records(&mut telemetry, &batch)?;
        if number == batches / EARLY {
            early = process.memory()?;
        }
    }
    let wall = begun.elapsed();
    let late = process.memory()?;
    api::post_records(&mut telemetry, &format!("[{}]", platform("runtimeDone", r#","status":"success""#)))?;
    let sent = (WARM_UP + batches) * lines;
    let arrived = if specification.answers { upstream.wait_for_lines(sent) } else { 0 };
    let cpu = process.cpu()?.saturating_sub(cpu);
    process.end()?;
    Ok(json!({ "cpu_us": micros(cpu), "wall_us": micros(wall), "sent": sent, "arrived": arrived,
        "early": early.now, "late": late.now }))
}

fn platform(kind: &str, members: &str) -> String {
    let record = format!(r#"{{"requestId":"{REQUEST}"{members}}}"#);
    format!(r#"{{"time":"2026-01-01T00:00:00.000Z","type":"platform.{kind}","record":{record}}}"#)
}
