//! Runs many invocations with freezes, faults of the function and of upstream, and clocks that jump, and reads the
//! memory in between.
//!
//! The clock of the machine stays as it is. What jumps is Lambda's: the deadlines, which the extension compares with
//! its own clock.

use crate::api::{self, Api};
use crate::envelope::{self, GATEWAY, KEY, Kind};
use crate::outcome::{Outcome, fail};
use crate::process::Process;
use crate::random::{self, Random};
use crate::records::{id, report, runtime_done, start};
use crate::upstream::{Fate, Upstream};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs::File;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

#[derive(Deserialize)]
pub(crate) struct Specification {
    extension: Vec<String>,
    env: BTreeMap<String, String>,
    /// The file for the log.
    log: PathBuf,
    invocations: u64,
    /// The memory is read after each so many invocations.
    every: u64,
    seed: u64,
}

const HOUR: Duration = Duration::from_hours(1);
/// After so many invocations there are none until what waits is delivered. These invocations take less than a
/// millisecond, so the extension would otherwise hold what thousands of them have sent, during a fault of upstream or
/// where others take the CPU. The allocator keeps the most that was ever held, which would tell the speed of the
/// machine.
const BETWEEN_RESTS: u64 = 50;
/// Everything is delivered if no request has come for so long.
const QUIET: Duration = Duration::from_millis(50);
/// The longest rest. A fault of upstream may take as long.
const LONGEST_REST: Duration = Duration::from_secs(5);

pub(crate) fn run(specification: &Specification) -> Outcome<Value> {
    let seed = specification.seed;
    let script = move |n| match random::nth(seed, n) % 400 {
        0..4 => (Duration::from_millis(1), Fate::Unavailable),
        4 | 5 => (Duration::from_millis(1), Fate::Cut),
        6 => (Duration::from_millis(1), Fate::Limited),
        7 => (Duration::from_millis(200), Fate::Taken),
        _ => (Duration::from_millis(1), Fate::Taken),
    };
    let upstream = Upstream::start_scripted("127.0.0.1:0", None, Arc::new(script))?;
    let api = Api::start()?;
    let mut env = specification.env.clone();
    env.insert("SENTRY_DSN".to_owned(), format!("http://{KEY}@{}/42", upstream.address));
    let log = Stdio::from(File::create(&specification.log)?);
    let process = Process::extension_with_log(&specification.extension, &env, api.address, log)?;
    api.wait_for_next()?;
    let requests = [Kind::Identity5k, Kind::Gzip2k].map(envelope::request);
    let [plain, gzip] = requests;
    let requests = [plain?, gzip?];
    let mut random = Random::new(seed);
    let mut telemetry = api.telemetry()?;
    let mut sdk = envelope::connect(GATEWAY.parse()?)?;
    let mut resident = Vec::new();
    for number in 1..=specification.invocations {
        if number.is_multiple_of(BETWEEN_RESTS) {
            upstream.wait_until_quiet(QUIET, LONGEST_REST);
        }
        let request = id(number);
        api.invoke_until(&request, deadline(&mut random)?)?;
        api::post_records(&mut telemetry, &format!("[{},{}]", report(&id(number - 1)), start(&request)))?;
        if random.once_in(20) {
            sdk = envelope::connect(GATEWAY.parse()?)?;
        }
        for _ in 0..random.below(4) {
            let which = usize::from(random.once_in(4));
            let envelope = requests.get(which).ok_or_else(|| fail("no such request"))?;
            sdk.exchange(envelope)?;
        }
        let status = match random.below(200) {
            0 => "timeout",
            1 => "error",
            2 => "failure",
            _ => "success",
        };
        // Sometimes the environment is frozen before telemetry says that the function is done. Not at first, when the
        // extension waits for that.
        let is_late = number > 20 && random.once_in(10);
        if !is_late {
            api::post_records(&mut telemetry, &format!("[{}]", runtime_done(&request, status)))?;
        }
        api.wait_for_next()?;
        process.freeze(freeze(&mut random))?;
        if is_late {
            api::post_records(&mut telemetry, &format!("[{}]", runtime_done(&request, status)))?;
        }
        if number.is_multiple_of(specification.every) {
            resident.push(json!([number, process.memory()?.now]));
        }
    }
    api.shutdown("spindown")?;
    process.wait(Duration::from_secs(10))?;
    Ok(json!({ "resident": resident, "delivered": upstream.answered() }))
}

/// A deadline in three seconds, or one that is an hour off because a clock has jumped.
fn deadline(random: &mut Random) -> Outcome<Duration> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
    Ok(match random.below(50) {
        0 => now.saturating_sub(HOUR),
        1 => now + HOUR,
        _ => now + Duration::from_secs(3),
    })
}

/// Most freezes are short, so that there can be many. A few are longer than the time in which a freeze is noticed.
fn freeze(random: &mut Random) -> Duration {
    match random.below(1000) {
        0 => Duration::from_millis(600),
        1..20 => Duration::from_millis(20),
        _ => Duration::from_micros(random.below(500)),
    }
}
