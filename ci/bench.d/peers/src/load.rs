//! Lets many clients send at once, in one long invocation, while upstream fails now and then and is sometimes slow.

use crate::api::Api;
use crate::envelope::{self, GATEWAY, KEY, Kind};
use crate::outcome::{Outcome, fail};
use crate::process::{Memory, Process};
use crate::random::{self, Random};
use crate::records;
use crate::upstream::{Fate, Upstream};
use crate::{api, micros};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

#[derive(Deserialize)]
pub(crate) struct Specification {
    extension: Vec<String>,
    env: BTreeMap<String, String>,
    clients: u64,
    seconds: u64,
    /// The pause of a client after each answer, on average.
    pause_ms: u64,
    /// How long upstream takes, and how long in the slow cases.
    delay_ms: u64,
    slow_ms: u64,
    seed: u64,
}

/// One request of so many fails, and one of so many is slow.
const FAILS: u64 = 100;
const SLOW: u64 = 20;
/// How often the memory is read.
const SAMPLE: Duration = Duration::from_millis(50);

/// What one client has seen.
#[derive(Default)]
struct Seen {
    accepted: u64,
    refused: u64,
    answered_within: Vec<Duration>,
}

pub(crate) fn run(specification: &Specification) -> Outcome<Value> {
    let Specification { seed, delay_ms, slow_ms, .. } = *specification;
    let script = move |n| {
        let (usual, slow) = (Duration::from_millis(delay_ms), Duration::from_millis(slow_ms));
        let chance = random::nth(seed, n);
        match chance % FAILS {
            0 if chance.is_multiple_of(2 * FAILS) => (usual, Fate::Unavailable),
            0 => (usual, Fate::Cut),
            _ if random::nth(chance, 0).is_multiple_of(SLOW) => (slow, Fate::Taken),
            _ => (usual, Fate::Taken),
        }
    };
    let upstream = Upstream::start_scripted("127.0.0.1:0", None, Arc::new(script))?;
    let api = Api::start()?;
    let mut env = specification.env.clone();
    env.insert("SENTRY_DSN".to_owned(), format!("http://{KEY}@{}/42", upstream.address));
    let process = Process::extension(&specification.extension, &env, api.address)?;
    api.wait_for_next()?;
    let time = Duration::from_secs(specification.seconds);
    let begun = Instant::now();
    let end = begun + time;
    let deadline = SystemTime::now().duration_since(UNIX_EPOCH)? + time + Duration::from_secs(10);
    api.invoke_until(&records::id(1), deadline)?;
    api::post_records(&mut api.telemetry()?, &format!("[{}]", records::start(&records::id(1))))?;

    let request: Arc<[u8]> = envelope::request(Kind::Identity5k)?.into();
    let client = |number| {
        let (request, pause_ms) = (Arc::clone(&request), specification.pause_ms);
        std::thread::spawn(move || client(&request, Random::new(seed ^ number), pause_ms, end))
    };
    let clients: Vec<_> = (0..specification.clients).map(client).collect();
    let mut most = process.memory()?;
    while Instant::now() < end {
        std::thread::sleep(SAMPLE);
        most = process.memory()?;
    }
    let mut seen = Seen::default();
    for client in clients {
        let of_one = client.join().map_err(|_| fail("a client panicked"))??;
        seen.accepted += of_one.accepted;
        seen.refused += of_one.refused;
        seen.answered_within.extend(of_one.answered_within);
    }
    let before_shutdown = upstream.answered();
    let done = records::runtime_done(&records::id(1), "success");
    api::post_records(&mut api.telemetry()?, &format!("[{done}]"))?;
    api.wait_for_next()?;
    let Memory { most: held, .. } = process.memory()?;
    api.shutdown("spindown")?;
    process.wait(Duration::from_secs(10))?;
    seen.answered_within.sort_unstable();
    let at = |percent: usize| seen.answered_within.get(seen.answered_within.len() * percent / 100).copied();
    Ok(json!({
        "accepted": seen.accepted,
        "refused": seen.refused,
        "before_shutdown": before_shutdown,
        "delivered": upstream.answered(),
        "p50_us": micros(at(50).unwrap_or_default()),
        "p99_us": micros(at(99).unwrap_or_default()),
        "rss_most": most.most.max(held),
    }))
}

/// Sends an envelope, waits for the answer, pauses, and does so again until `end`.
fn client(request: &[u8], mut random: Random, pause_ms: u64, end: Instant) -> Outcome<Seen> {
    let mut seen = Seen::default();
    let mut pause = move || Duration::from_micros(random.below(2000 * pause_ms + 1));
    std::thread::sleep(pause());
    let mut connection = envelope::connect(GATEWAY.parse()?)?;
    while Instant::now() < end {
        let begun = Instant::now();
        let answer = connection.exchange(request)?;
        seen.answered_within.push(begun.elapsed());
        if answer.is_ok() {
            seen.accepted += 1;
        } else {
            seen.refused += 1;
        }
        std::thread::sleep(pause().min(end.saturating_duration_since(Instant::now())));
    }
    Ok(seen)
}
