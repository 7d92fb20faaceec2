//! Measures how long an SDK waits for its response from the extension, and from a minimal server that only answers.
//!
//! The requests alternate between the two, so that both are measured under the same load. A request is sent only when
//! the extension has delivered everything before it, so that no measurement contains the work of an earlier request.

use crate::api::Api;
use crate::envelope::{self, GATEWAY, KEY, Kind};
use crate::http::Connection;
use crate::micros;
use crate::outcome::{Outcome, fail};
use crate::process::Process;
use crate::upstream::Upstream;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

#[derive(Deserialize)]
pub(crate) struct Specification {
    extension: Vec<String>,
    /// The command of the minimal server, which listens on `server_address`.
    server: Vec<String>,
    server_address: SocketAddr,
    env: BTreeMap<String, String>,
    /// The number of requests to each of the two over each kind of connection.
    requests: usize,
    /// The pause before each request, in microseconds.
    pause_us: u64,
}

/// The number of requests before the measurement starts.
const WARM_UP: usize = 20;

/// One of the two servers, and the response times in microseconds over a kept and over a new connection.
struct Target {
    name: &'static str,
    address: SocketAddr,
    kept: Connection<TcpStream>,
    times: [Vec<Value>; 2],
}

impl Target {
    fn new(name: &'static str, address: SocketAddr) -> Outcome<Self> {
        Ok(Self { name, address, kept: envelope::connect(address)?, times: [Vec::new(), Vec::new()] })
    }

    fn post_kept(&mut self, request: &[u8]) -> Outcome<Duration> {
        let begun = Instant::now();
        envelope::post(&mut self.kept, request)?;
        Ok(begun.elapsed())
    }

    fn post_fresh(&self, request: &[u8]) -> Outcome<Duration> {
        let begun = Instant::now();
        envelope::post(&mut envelope::connect(self.address)?, request)?;
        Ok(begun.elapsed())
    }
}

pub(crate) fn run(specification: &Specification) -> Outcome<Value> {
    let upstream = Upstream::start("127.0.0.1:0", None, Duration::ZERO)?;
    let api = Api::start()?;
    let mut env = specification.env.clone();
    env.insert("SENTRY_DSN".to_owned(), format!("http://{KEY}@{}/42", upstream.address));
    let extension = Process::extension(&specification.extension, &env, api.address)?;
    api.wait_for_next()?;
    let server = Process::start(&specification.server, &BTreeMap::new())?;
    wait_for(specification.server_address)?;

    let request = envelope::request(Kind::Identity5k)?;
    let mut targets =
        [Target::new("extension", GATEWAY.parse()?)?, Target::new("server", specification.server_address)?];
    let mut sent = 0;
    for n in 0..WARM_UP + specification.requests {
        for kind in 0..2 {
            for target in &mut targets {
                wait_until_idle(&upstream, sent, Duration::from_micros(specification.pause_us))?;
                let took =
                    if kind == 0 { target.post_kept(&request)? } else { target.post_fresh(&request)? };
                sent += u64::from(target.name == "extension");
                if let Some(times) = target.times.get_mut(kind).filter(|_| n >= WARM_UP) {
                    times.push(micros(took));
                }
            }
        }
    }
    extension.end()?;
    server.end()?;
    Ok(targets.map(|target| (target.name.to_owned(), json!(target.times))).into_iter().collect())
}

/// Waits until everything is delivered and the other threads have finished their work. Then it waits as long as an SDK
/// takes until its next request.
fn wait_until_idle(upstream: &Upstream, sent: u64, pause: Duration) -> Outcome<()> {
    upstream.wait_for(sent)?;
    for _ in 0..20 {
        std::thread::yield_now();
    }
    if !pause.is_zero() {
        std::thread::sleep(pause);
    }
    Ok(())
}

fn wait_for(address: SocketAddr) -> Outcome<()> {
    let begun = Instant::now();
    while TcpStream::connect(address).is_err() {
        if begun.elapsed() > Duration::from_secs(10) {
            return Err(fail(format!("no program listens on {address}")));
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}
