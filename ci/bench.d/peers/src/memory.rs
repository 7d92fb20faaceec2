//! Measures the extension's resident memory, as the kernel counts it.

use crate::api::Api;
use crate::envelope::{self, GATEWAY, KEY, Kind};
use crate::outcome::Outcome;
use crate::process::Process;
use crate::upstream::Upstream;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;

#[derive(Deserialize)]
pub(crate) struct Specification {
    extension: Vec<String>,
    env: BTreeMap<String, String>,
    envelopes: u64,
}

/// The time for the work that the extension does after its response.
const SETTLE: Duration = Duration::from_millis(100);

pub(crate) fn run(specification: &Specification) -> Outcome<Value> {
    let upstream = Upstream::start("127.0.0.1:0", None, Duration::ZERO)?;
    let api = Api::start()?;
    let mut env = specification.env.clone();
    env.insert("SENTRY_DSN".to_owned(), format!("http://{KEY}@{}/42", upstream.address));
    let process = Process::extension(&specification.extension, &env, api.address)?;
    api.wait_for_next()?;
    std::thread::sleep(SETTLE);
    let idle = process.memory()?;

    let small = envelope::request(Kind::Identity5k)?;
    let mut connection = envelope::connect(GATEWAY.parse()?)?;
    for _ in 0..specification.envelopes {
        envelope::post(&mut connection, &small)?;
    }
    upstream.wait_for(specification.envelopes)?;
    std::thread::sleep(SETTLE);
    let worked = process.memory()?;

    envelope::post(&mut connection, &envelope::request(Kind::Identity20m)?)?;
    upstream.wait_for(specification.envelopes + 1)?;
    std::thread::sleep(SETTLE);
    let after = process.memory()?;
    process.end()?;
    Ok(json!({ "idle": idle.now, "worked": worked.now, "peak": after.most, "after": after.now }))
}
