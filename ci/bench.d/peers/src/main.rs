//! `bench-peers EXPERIMENT SPECIFICATION` runs one experiment of `ci/bench` and prints its measurements as JSON.
//!
//! - `start`: the time of several programs from their start to the first `/next`
//! - `memory`: the extension's memory when it is idle, after work and with a large body
//! - `accept`: how long an SDK waits for its response, compared with the server of `answer`
//! - `cost`: the CPU time of an envelope
//! - `invocation`: whole invocations, for their instructions and the memory that settings take
//! - `logs`: lines of the function, for their instructions, their rate and their memory
//! - `delivery`: the time from an envelope to the next `/next`, when everything is delivered
//! - `fault`: the time from a fault of the function to the arrival of its event
//! - `load`: many clients at once, and an upstream that is slow and fails now and then
//! - `soak`: many invocations with freezes, faults and clocks that jump, for the memory that they leave behind
//! - `serve`, `answer`: servers for experiments in other programs, which run until they are killed
//!
//! It must run in its own network namespace, because the extension's ports are fixed.

mod accept;
mod answer;
mod api;
mod cost;
mod delivery;
mod envelope;
mod fault;
mod http;
mod invocation;
mod load;
mod logs;
mod memory;
mod outcome;
mod process;
mod random;
mod records;
mod soak;
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
            // If stderr is closed, the error cannot be reported anywhere, so the result is ignored.
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
        "invocation" => invocation::run(&specification(&given)?)?,
        "logs" => logs::run(&specification(&given)?)?,
        "fault" => fault::run(&specification(&given)?)?,
        "load" => load::run(&specification(&given)?)?,
        "soak" => soak::run(&specification(&given)?)?,
        "delivery" => delivery::run(&specification(&given)?)?,
        "serve" => answer::serve(&specification(&given)?)?,
        "answer" => answer::answer()?,
        other => return Err(fail(format!("there is no experiment {other:?}"))),
    };
    writeln!(std::io::stdout(), "{seen}")?;
    Ok(())
}

fn specification<'a, T: Deserialize<'a>>(given: &'a str) -> Outcome<T> {
    serde_json::from_str(given).map_err(|error| fail(format!("invalid specification: {error}")))
}

/// Converts a duration to microseconds.
fn micros(duration: std::time::Duration) -> Value {
    Value::from(duration.as_secs_f64() * 1e6)
}
