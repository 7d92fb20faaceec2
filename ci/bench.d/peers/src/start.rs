//! Measures the time from a program's start to its first `/next`, and the time of the first envelope.

use crate::api::Api;
use crate::envelope::{self, GATEWAY, Kind};
use crate::micros;
use crate::outcome::Outcome;
use crate::process::Process;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

#[derive(Deserialize)]
pub(crate) struct Specification {
    /// The commands by name. Their runs alternate.
    programs: BTreeMap<String, Vec<String>>,
    runs: usize,
    env: BTreeMap<String, String>,
    /// The time, in milliseconds, after the first `/next` until a program is idle.
    settle_ms: u64,
    /// Whether to send an envelope after that.
    post: bool,
}

pub(crate) fn run(specification: &Specification) -> Outcome<Value> {
    let mut all: BTreeMap<&str, Vec<Value>> = BTreeMap::new();
    for _ in 0..specification.runs {
        for (name, command) in &specification.programs {
            all.entry(name).or_default().push(once(specification, command)?);
        }
    }
    Ok(json!(all))
}

fn once(specification: &Specification, command: &[String]) -> Outcome<Value> {
    let api = Api::start()?;
    let process = Process::extension(command, &specification.env, api.address)?;
    let wall = api.wait_for_next()?.duration_since(process.started);
    std::thread::sleep(Duration::from_millis(specification.settle_ms));
    let (cpu, memory) = (process.cpu()?, process.memory()?);
    let mut seen = Map::from_iter([
        ("wall_us".to_owned(), micros(wall)),
        ("cpu_us".to_owned(), micros(cpu)),
        ("rss".to_owned(), memory.now.into()),
    ]);
    if specification.post {
        let request = envelope::request(Kind::Identity5k)?;
        let begun = Instant::now();
        envelope::post(&mut envelope::connect(GATEWAY.parse()?)?, &request)?;
        seen.insert("first_accept_us".to_owned(), micros(begun.elapsed()));
    }
    process.end()?;
    Ok(Value::Object(seen))
}
