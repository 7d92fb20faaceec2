//! From the last envelope to the next `/next`: with `SENTRY_EXTENSION_FLUSH=end` that is when everything is delivered.
//!
//! Upstream is at the far end of a link with a delay, in TLS. Lambda's word that the function is done comes at once here;
//! in Lambda it is up to 25 ms late.

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
    /// This end of the link, and what the far end is called here.
    near: IpAddr,
    far: IpAddr,
    /// Environments.
    starts: usize,
    /// Invocations in each.
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

    // A TCP handshake is over for the client after one round trip.
    let trip = || {
        let begun = Instant::now();
        TcpStream::connect(far).map(|_| micros(begun.elapsed()))
    };
    let trips = (0..10).map(|_| trip()).collect::<Result<Vec<_>, _>>()?;
    let (mut first, mut warm) = (Vec::new(), Vec::new());
    for _ in 0..specification.starts {
        let api = Api::start()?;
        let process = Process::extension(&specification.extension, &env, api.address)?;
        api.asked()?;
        for invocation in 0..specification.invocations {
            let before = upstream.answered();
            let took = micros(invoke(&api, &format!("request-{invocation}"))?);
            if upstream.answered() != before + 1 {
                return Err(fail("the next event was asked for before the envelope was delivered"));
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
    api.tell("start", name)?;
    let mut connection = envelope::connect(GATEWAY.parse()?)?;
    let begun = Instant::now();
    envelope::post(&mut connection, &request)?;
    api.tell("runtimeDone", name)?;
    Ok(api.asked()?.duration_since(begun))
}
