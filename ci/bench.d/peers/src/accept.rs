//! How long an SDK waits for its answer: the extension, and a minimal server that does nothing but answer.
//!
//! They take turns, block by block; a turn begins when the extension has delivered everything, so that nobody pays for what
//! the other has left to do.

use crate::api::Api;
use crate::envelope::{self, GATEWAY, KEY, Kind};
use crate::outcome::{Outcome, fail};
use crate::process::Process;
use crate::upstream::Upstream;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

#[derive(Deserialize)]
pub(crate) struct Specification {
    extension: Vec<String>,
    /// The minimal server's command; it listens on the address that follows.
    server: Vec<String>,
    server_address: SocketAddr,
    env: BTreeMap<String, String>,
    rounds: usize,
    /// Requests in each round, to each of the two, over each kind of connection.
    requests: usize,
    /// Between two requests.
    pause_us: u64,
}

pub(crate) fn run(specification: &Specification) -> Outcome<Value> {
    let upstream = Upstream::start("127.0.0.1:0", None, Duration::ZERO)?;
    let api = Api::start()?;
    let mut env = specification.env.clone();
    env.insert("SENTRY_DSN".to_owned(), format!("http://{KEY}@{}/42", upstream.address));
    let extension = Process::extension(&specification.extension, &env, api.address)?;
    api.asked()?;
    let server = Process::start(&specification.server, &BTreeMap::new())?;
    wait_for(specification.server_address)?;

    let request = envelope::request(Kind::Identity5k)?;
    let mut sent = upstream.answered();
    let mut rounds = Vec::new();
    for round in 0..=specification.rounds {
        let mut seen: BTreeMap<&str, Value> = BTreeMap::new();
        for (name, to) in [("extension", GATEWAY.parse()?), ("server", specification.server_address)] {
            let kept = kept(to, &request, specification)?;
            let fresh = fresh(to, &request, specification)?;
            seen.insert(name, json!({ "kept": quantiles(kept), "fresh": quantiles(fresh) }));
            if name == "extension" {
                sent += 2 * u64::try_from(specification.requests)?;
                upstream.wait_for(sent)?;
            }
        }
        // The first one warms up.
        if round > 0 {
            rounds.push(seen);
        }
    }
    extension.end()?;
    server.end()?;
    Ok(json!(rounds))
}

fn kept(to: SocketAddr, request: &[u8], specification: &Specification) -> Outcome<Vec<Duration>> {
    let mut connection = envelope::connect(to)?;
    let mut times = Vec::with_capacity(specification.requests);
    for _ in 0..specification.requests {
        let begun = Instant::now();
        envelope::post(&mut connection, request)?;
        times.push(begun.elapsed());
        pause(specification);
    }
    Ok(times)
}

fn fresh(to: SocketAddr, request: &[u8], specification: &Specification) -> Outcome<Vec<Duration>> {
    let mut times = Vec::with_capacity(specification.requests);
    for _ in 0..specification.requests {
        let begun = Instant::now();
        let mut connection = envelope::connect(to)?;
        envelope::post(&mut connection, request)?;
        times.push(begun.elapsed());
        drop(connection);
        pause(specification);
    }
    Ok(times)
}

/// As an SDK comes back: the server has gone to sleep, and has done what it does behind an answer.
fn pause(specification: &Specification) {
    if specification.pause_us > 0 {
        std::thread::sleep(Duration::from_micros(specification.pause_us));
    }
}

fn quantiles(mut times: Vec<Duration>) -> Value {
    times.sort_unstable();
    let at = |per_cent: usize| times.get(times.len() * per_cent / 100).copied().map(crate::micros);
    json!({ "p50": at(50), "p99": at(99) })
}

fn wait_for(address: SocketAddr) -> Outcome<()> {
    let begun = Instant::now();
    while std::net::TcpStream::connect(address).is_err() {
        if begun.elapsed() > Duration::from_secs(10) {
            return Err(fail(format!("nobody listens on {address}")));
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}
