//! Measures the time from a fault of the function to the arrival of its event, over a link with a delay.
//!
//! When the function's process has ended, Lambda posts the record of its end and answers `/next` with SHUTDOWN. Here it
//! does both at once; in Lambda the record is up to 25 ms late.

use crate::api::Api;
use crate::delivery::{self, Far, Specification};
use crate::micros;
use crate::outcome::Outcome;
use crate::process::Process;
use serde_json::{Value, json};
use std::time::Instant;

pub(crate) fn run(specification: &Specification) -> Outcome<Value> {
    let far = Far::start(specification)?;
    let (mut first, mut warm) = (Vec::new(), Vec::new());
    for _ in 0..specification.starts {
        first.push(once(specification, &far, false)?);
        warm.push(once(specification, &far, true)?);
    }
    Ok(json!({ "round_trip_us": far.round_trips, "first_us": first, "warm_us": warm }))
}

/// Runs one environment whose last invocation fails. If `is_connected`, it has delivered an envelope before that.
fn once(specification: &Specification, far: &Far, is_connected: bool) -> Outcome<Value> {
    let api = Api::start()?;
    let process = Process::extension(&specification.extension, &far.env, api.address)?;
    api.wait_for_next()?;
    if is_connected {
        delivery::invoke(&api, "request-0")?;
    }
    let before = far.upstream.answered();
    api.invoke("request-1")?;
    api.post_telemetry("start", "request-1", "success")?;
    let failed = Instant::now();
    api.shutdown("failure")?;
    api.post_telemetry("runtimeDone", "request-1", "error")?;
    far.upstream.wait_for(before + 1)?;
    let took = failed.elapsed();
    process.end()?;
    Ok(micros(took))
}
