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
    pub(crate) extension: Vec<String>,
    env: BTreeMap<String, String>,
    ca_file: PathBuf,
    /// The addresses of this end and of the far end of the link.
    near: IpAddr,
    far: IpAddr,
    /// The number of environments.
    pub(crate) starts: usize,
    /// The number of invocations in each environment.
    invocations: usize,
}

/// Upstream at the far end of the link.
pub(crate) struct Far {
    pub(crate) upstream: Upstream,
    /// The environment of an extension that delivers to it.
    pub(crate) env: BTreeMap<String, String>,
    /// How long the link's round trip took, in microseconds.
    pub(crate) round_trips: Vec<Value>,
}

impl Far {
    pub(crate) fn start(specification: &Specification) -> Outcome<Self> {
        let listen = SocketAddr::new(specification.near, 0).to_string();
        let server = tls::server(&specification.ca_file)?;
        let upstream = Upstream::start(&listen, Some(server), Duration::ZERO)?;
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
        let round_trips = (0..10).map(|_| trip()).collect::<Result<Vec<_>, _>>()?;
        Ok(Self { upstream, env, round_trips })
    }
}

pub(crate) fn run(specification: &Specification) -> Outcome<Value> {
    let far = Far::start(specification)?;
    let (mut first, mut warm) = (Vec::new(), Vec::new());
    for _ in 0..specification.starts {
        let api = Api::start()?;
        let process = Process::extension(&specification.extension, &far.env, api.address)?;
        api.wait_for_next()?;
        for invocation in 0..specification.invocations {
            let before = far.upstream.answered();
            let took = micros(invoke(&api, &format!("request-{invocation}"))?);
            if far.upstream.answered() != before + 1 {
                return Err(fail("the extension called /event/next before it had delivered the envelope"));
            }
            if invocation == 0 { first.push(took) } else { warm.push(took) }
        }
        process.end()?;
    }
    Ok(json!({ "round_trip_us": far.round_trips, "first_us": first, "warm_us": warm }))
}

/// Runs one invocation with one envelope, and returns the time from the envelope to the next `/next`.
pub(crate) fn invoke(api: &Api, name: &str) -> Outcome<Duration> {
    let request = envelope::request(Kind::Identity5k)?;
    api.invoke(name)?;
    api.post_telemetry("start", name, "success")?;
    let mut connection = envelope::connect(GATEWAY.parse()?)?;
    let begun = Instant::now();
    envelope::post(&mut connection, &request)?;
    api.post_telemetry("runtimeDone", name, "success")?;
    Ok(api.wait_for_next()?.duration_since(begun))
}
