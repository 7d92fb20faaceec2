//! `bench-peers EXPERIMENT SPECIFICATION`: runs one experiment of `ci/bench` and prints what it saw as JSON.
//!
//! - `start`: programs from their start to the first `/next`, in turns
//! - `memory`: what the extension takes, idle, at work and with a large body
//! - `accept`: how long an SDK waits for its answer, beside the server of `answer`
//! - `cost`: what an envelope takes of the CPU
//! - `delivery`: from an envelope to the next `/next`, when all is delivered
//! - `serve`, `answer`: servers for experiments elsewhere; they run until they are killed
//!
//! It has to be in a network of its own, for the extension's ports are fixed.

mod accept;
mod answer;
mod api;
mod cost;
mod delivery;
mod envelope;
mod http;
mod memory;
mod outcome;
mod process;
mod start;
mod tls;
mod upstream;

use outcome::{Outcome, fail};
use serde::Deserialize;
use serde_json::Value;
use std::io::Write as _;
use std::process::ExitCode;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nobody is left to be told of a closed pipe.
            let _ = writeln!(std::io::stderr(), "bench-peers: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Outcome<()> {
    let mut arguments = std::env::args().skip(1);
    let (experiment, given) = (arguments.next().unwrap_or_default(), arguments.next().unwrap_or_default());
    let seen = match experiment.as_str() {
        "start" => start::run(&specification(&given)?)?,
        "memory" => memory::run(&specification(&given)?)?,
        "accept" => accept::run(&specification(&given)?)?,
        "cost" => cost::run(&specification(&given)?)?,
        "delivery" => delivery::run(&specification(&given)?)?,
        "serve" => answer::serve(&specification(&given)?)?,
        "answer" => answer::answer()?,
        other => return Err(fail(format!("no experiment {other:?}"))),
    };
    writeln!(std::io::stdout(), "{seen}")?;
    Ok(())
}

fn specification<'a, T: Deserialize<'a>>(given: &'a str) -> Outcome<T> {
    serde_json::from_str(given).map_err(|error| fail(format!("the specification: {error}")))
}

/// Microseconds.
fn micros(duration: std::time::Duration) -> Value {
    Value::from(duration.as_secs_f64() * 1e6)
}
