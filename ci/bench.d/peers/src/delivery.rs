//! Measures the time from the last envelope to the next `/next`. With `SENTRY_EXTENSION_FLUSH=end` everything is
//! delivered by then.
//!
//! Upstream uses TLS and is at the far end of a link with a delay. Here telemetry reports the end of the function at
//! once; in Lambda the report is up to 25 ms late.

use crate::api::Api;
use crate::envelope::{self, GATEWAY, KEY, Kind};
use crate::outcome::{Outcome, fail};
use crate::process::Process;
use crate::upstream::Upstream;
use crate::{micros, tls};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::path::PathBuf;
use std::time::{Duration, Instant};

#[derive(Deserialize)]
pub(crate) struct Specification {
    extension: Vec<String>,
    env: BTreeMap<String, String>,
    ca_file: PathBuf,
    /// The addresses of this end and of the far end of the link.
    near: IpAddr,
    far: IpAddr,
    /// The number of environments.
    starts: usize,
    /// The number of invocations in each environment.
    invocations: usize,
}

pub(crate) fn run(specification: &Specification) -> Outcome<Value> {
    let listen = SocketAddr::new(specification.near, 0).to_string();
    let upstream = Upstream::start(&listen, Some(tls::server(&specification.ca_file)?), Duration::ZERO)?;
    let far = SocketAddr::new(specification.far, upstream.address.port());
    let mut env = specification.env.clone();
    env.insert("SENTRY_DSN".to_owned(), format!("https://{KEY}@{far}/42"));
    env.insert("SENTRY_EXTENSION_FLUSH".to_owned(), "end".to_owned());
    let ca_file = specification.ca_file.to_string_lossy().into_owned();
    env.insert("SENTRY_EXTENSION_CA_BUNDLE".to_owned(), ca_file);

    // A TCP connect takes the client one round trip.
    let trip = || {
        let begun = Instant::now();
        TcpStream::connect(far).map(|_| micros(begun.elapsed()))
    };
    let trips = (0..10).map(|_| trip()).collect::<Result<Vec<_>, _>>()?;
    let (mut first, mut warm) = (Vec::new(), Vec::new());
    for _ in 0..specification.starts {
        let api = Api::start()?;
        let process = Process::extension(&specification.extension, &env, api.address)?;
        api.wait_for_next()?;
        for invocation in 0..specification.invocations {
            let before = upstream.answered();
            let took = micros(invoke(&api, &format!("request-{invocation}"))?);
            if upstream.answered() != before + 1 {
                return Err(fail("the extension called /event/next before it had delivered the envelope"));
            }
            if invocation == 0 { first.push(took) } else { warm.push(took) }
        }
        process.end()?;
    }
    Ok(json!({ "round_trip_us": trips, "first_us": first, "warm_us": warm }))
}

fn invoke(api: &Api, name: &str) -> Outcome<Duration> {
    let request = envelope::request(Kind::Identity5k)?;
    api.invoke(name)?;
    api.post_telemetry("start", name)?;
    let mut connection = envelope::connect(GATEWAY.parse()?)?;
    let begun = Instant::now();
    envelope::post(&mut connection, &request)?;
    api.post_telemetry("runtimeDone", name)?;
    Ok(api.wait_for_next()?.duration_since(begun))
}
