//! Measures the CPU time of an envelope, from the SDK's connection to Sentry's response.

use crate::api::Api;
use crate::envelope::{self, GATEWAY, KEY, Kind};
use crate::outcome::{Outcome, fail};
use crate::process::Process;
use crate::upstream::Upstream;
use crate::{micros, tls};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

#[derive(Deserialize)]
pub(crate) struct Specification {
    extension: Vec<String>,
    env: BTreeMap<String, String>,
    kind: Kind,
    /// The file for the certificate of the authority. If it is set, upstream uses TLS.
    ca_file: Option<PathBuf>,
    envelopes: u64,
    /// The number of connections that send as fast as they can. If it is 0, each envelope is delivered before the
    /// next is sent, so that the work is the same in every run.
    senders: u64,
}

/// The number of envelopes before the measurement starts. They open the connections and load the code.
const WARM_UP: u64 = 20;

pub(crate) fn run(specification: &Specification) -> Outcome<Value> {
    let server = specification.ca_file.as_deref().map(tls::server).transpose()?;
    let upstream = Upstream::start("127.0.0.1:0", server, Duration::ZERO)?;
    let api = Api::start()?;
    let mut env = specification.env.clone();
    let scheme = if specification.ca_file.is_some() { "https" } else { "http" };
    env.insert("SENTRY_DSN".to_owned(), format!("{scheme}://{KEY}@{}/42", upstream.address));
    if let Some(file) = &specification.ca_file {
        env.insert("SENTRY_EXTENSION_CA_BUNDLE".to_owned(), file.to_string_lossy().into_owned());
    }
    let process = Process::extension(&specification.extension, &env, api.address)?;
    api.wait_for_next()?;
    let request = envelope::request(specification.kind)?;
    one_by_one(&upstream, &request, WARM_UP)?;

    let (before, begun) = (process.cpu()?, Instant::now());
    match specification.senders {
        0 => one_by_one(&upstream, &request, specification.envelopes)?,
        senders => at_once(&upstream, &request, specification.envelopes / senders, senders)?,
    }
    let (wall, cpu) = (begun.elapsed(), process.cpu()?.saturating_sub(before));
    process.end()?;
    Ok(json!({ "cpu_us": micros(cpu), "wall_us": micros(wall), "bytes": request.len() }))
}

fn one_by_one(upstream: &Upstream, request: &[u8], envelopes: u64) -> Outcome<()> {
    let before = upstream.answered();
    let mut connection = envelope::connect(GATEWAY.parse()?)?;
    for n in 1..=envelopes {
        envelope::post(&mut connection, request)?;
        upstream.wait_for(before + n)?;
    }
    Ok(())
}

fn at_once(upstream: &Upstream, request: &[u8], each: u64, senders: u64) -> Outcome<()> {
    let before = upstream.answered();
    std::thread::scope(|scope| {
        let sending = || {
            let mut connection = envelope::connect(GATEWAY.parse()?)?;
            (0..each).try_for_each(|_| envelope::post(&mut connection, request))
        };
        let all: Vec<_> = (0..senders).map(|_| scope.spawn(sending)).collect();
        all.into_iter().try_for_each(|sender| sender.join().map_err(|_| fail("a sender panicked"))?)
    })?;
    upstream.wait_for(before + each * senders)
}
