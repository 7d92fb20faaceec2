//! Runs whole invocations, so that their instructions can be counted: INVOKE, the platform's records, one envelope, and
//! the next `/next`.

use crate::api::{self, Api};
use crate::envelope::{self, GATEWAY, KEY, Kind};
use crate::http::Connection;
use crate::outcome::Outcome;
use crate::process::Process;
use crate::records::{id, report, runtime_done, start};
use crate::upstream::Upstream;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::net::TcpStream;
use std::time::Duration;

#[derive(Deserialize)]
pub(crate) struct Specification {
    extension: Vec<String>,
    env: BTreeMap<String, String>,
    invocations: u64,
    /// How long the function of the last invocation runs, in milliseconds.
    last_ms: u64,
    /// The number of lines that the function writes in each invocation.
    #[serde(default)]
    lines: usize,
}

/// The number of invocations before those that are counted. They open the connections and load the code.
const WARM_UP: u64 = 5;

const LINE: &str =
    r#"{"time":"2026-01-01T00:00:00.000Z","type":"function","record":"the cart has three items\n"}"#;

/// What stays open from one invocation to the next.
struct Environment {
    api: Api,
    upstream: Upstream,
    /// The connection by which Lambda posts its records.
    telemetry: Connection<TcpStream>,
    /// The SDK's connection.
    sdk: Connection<TcpStream>,
    envelope: Vec<u8>,
    lines: usize,
}

pub(crate) fn run(specification: &Specification) -> Outcome<Value> {
    let upstream = Upstream::start("127.0.0.1:0", None, Duration::ZERO)?;
    let api = Api::start()?;
    let mut env = specification.env.clone();
    env.insert("SENTRY_DSN".to_owned(), format!("http://{KEY}@{}/42", upstream.address));
    // Each invocation ends with everything delivered, so that the work is the same in every run.
    env.insert("SENTRY_EXTENSION_FLUSH".to_owned(), "end".to_owned());
    let process = Process::extension(&specification.extension, &env, api.address)?;
    api.wait_for_next()?;
    let telemetry = api.telemetry()?;
    let sdk = envelope::connect(GATEWAY.parse()?)?;
    let envelope = envelope::request(Kind::Identity5k)?;
    let mut environment = Environment { api, upstream, telemetry, sdk, envelope, lines: specification.lines };
    let all = WARM_UP + specification.invocations;
    for number in 1..=all {
        let takes = Duration::from_millis(if number == all { specification.last_ms } else { 0 });
        environment.invocation(number, takes)?;
    }
    let memory = process.memory()?;
    process.end()?;
    Ok(json!({ "memory": memory.now }))
}

impl Environment {
    fn invocation(&mut self, number: u64, takes: Duration) -> Outcome<()> {
        let request = id(number);
        self.api.invoke(&request)?;
        let mut records = vec![report(&id(number - 1)), start(&request)];
        records.resize(records.len() + self.lines, LINE.to_owned());
        self.post(&records)?;
        std::thread::sleep(takes);
        envelope::post(&mut self.sdk, &self.envelope)?;
        self.upstream.wait_for(number)?;
        self.post(&[runtime_done(&request, "success")])?;
        self.api.wait_for_next()?;
        Ok(())
    }

    fn post(&mut self, records: &[String]) -> Outcome<()> {
        let body = format!("[{}]", records.join(","));
        api::post_records(&mut self.telemetry, &body)
    }
}
