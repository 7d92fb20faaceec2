//! A stand-in for Sentry. It answers every request with 200 after a given delay, or as a script says, and counts the
//! requests that it took and the lines of logs in them.

use crate::http::{Connection, answer};
use crate::outcome::{Outcome, fail};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::Value;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The longest wait for envelopes to arrive.
const DELIVERY_TIMEOUT: Duration = Duration::from_mins(2);

/// What happens to a request.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fate {
    /// It is answered with 200.
    Taken,
    /// It is answered with 503.
    Unavailable,
    /// It is answered with 429 and a rate limit on transactions that lasts a second.
    Limited,
    /// The connection is closed without an answer.
    Cut,
}

/// Decides what happens to the nth request, and after which time.
pub(crate) type Script = Arc<dyn Fn(u64) -> (Duration, Fate) + Send + Sync>;

/// The longest wait for the last lines of logs.
const LINES_TIMEOUT: Duration = Duration::from_secs(20);

/// The stand-in for Sentry. It runs until the process ends.
pub(crate) struct Upstream {
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    script: Script,
    received: AtomicU64,
    answered: Mutex<u64>,
    /// Whether the last request was answered with 503, or its connection was closed.
    is_failing: AtomicBool,
    lines: Mutex<u64>,
    changed: Condvar,
}

impl Upstream {
    /// Listens on this address, with TLS if there is a configuration for it.
    pub(crate) fn start(listen: &str, tls: Option<Arc<ServerConfig>>, delay: Duration) -> Outcome<Self> {
        Self::start_scripted(listen, tls, Arc::new(move |_| (delay, Fate::Taken)))
    }

    /// Does the same, and lets the script say what happens to each request.
    pub(crate) fn start_scripted(
        listen: &str,
        tls: Option<Arc<ServerConfig>>,
        script: Script,
    ) -> Outcome<Self> {
        let listener = TcpListener::bind(listen)?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            script,
            received: AtomicU64::new(0),
            answered: Mutex::new(0),
            is_failing: AtomicBool::new(false),
            lines: Mutex::new(0),
            changed: Condvar::new(),
        });
        let counting = Arc::clone(&shared);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (shared, tls) = (Arc::clone(&counting), tls.clone());
                // The experiment notices missing envelopes, so an error of a connection is ignored here.
                std::thread::spawn(move || accept(stream, tls, &shared));
            }
        });
        Ok(Self { address, shared })
    }

    /// Returns the number of requests that were answered with 200.
    pub(crate) fn answered(&self) -> u64 {
        *self.shared.answered.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until the last request did not fail and none has come for this time, but not for longer than `within`.
    pub(crate) fn wait_until_quiet(&self, quiet: Duration, within: Duration) {
        let received = || self.shared.received.load(Ordering::Relaxed);
        let (begun, mut before) = (Instant::now(), received());
        while begun.elapsed() < within {
            std::thread::sleep(quiet);
            let now = received();
            if now == before && !self.shared.is_failing.load(Ordering::Relaxed) {
                return;
            }
            before = now;
        }
    }

    /// Waits until this many lines of logs have arrived. Returns how many have, which is less if no more come.
    pub(crate) fn wait_for_lines(&self, count: u64) -> u64 {
        let lines = self.shared.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.shared.changed.wait_timeout_while(lines, LINES_TIMEOUT, |lines| *lines < count);
        *waited.unwrap_or_else(PoisonError::into_inner).0
    }

    /// Waits until this many requests were answered with 200.
    pub(crate) fn wait_for(&self, count: u64) -> Outcome<()> {
        let answered = self.shared.answered.lock().unwrap_or_else(PoisonError::into_inner);
        let (answered, waited) = self
            .shared
            .changed
            .wait_timeout_while(answered, DELIVERY_TIMEOUT, |answered| *answered < count)
            .unwrap_or_else(PoisonError::into_inner);
        if waited.timed_out() {
            return Err(fail(format!("only {answered} of {count} envelopes arrived")));
        }
        Ok(())
    }
}

fn accept(stream: TcpStream, tls: Option<Arc<ServerConfig>>, shared: &Shared) -> Outcome<()> {
    stream.set_nodelay(true)?;
    match tls {
        Some(tls) => serve(StreamOwned::new(ServerConnection::new(tls)?, stream), shared),
        None => serve(stream, shared),
    }
}

fn serve(stream: impl Read + Write, shared: &Shared) -> Outcome<()> {
    let mut connection = Connection::new(stream);
    let taken = answer("200 OK", "", r#"{"id":"9ec79c33ec9942ab8353589fcb2e04dc"}"#);
    let unavailable = answer("503 Service Unavailable", "", "{}");
    let limits = "x-sentry-rate-limits: 1:transaction:key\r\n";
    let limited = answer("429 Too Many Requests", limits, "{}");
    while let Some(request) = connection.receive()? {
        *shared.lines.lock().unwrap_or_else(PoisonError::into_inner) += lines(&request.body);
        let (delay, fate) = (shared.script)(shared.received.fetch_add(1, Ordering::Relaxed));
        std::thread::sleep(delay);
        let is_failing = matches!(fate, Fate::Unavailable | Fate::Cut);
        shared.is_failing.store(is_failing, Ordering::Relaxed);
        match fate {
            Fate::Taken => {
                connection.send(&taken)?;
                *shared.answered.lock().unwrap_or_else(PoisonError::into_inner) += 1;
                shared.changed.notify_all();
            }
            Fate::Unavailable => connection.send(&unavailable)?,
            Fate::Limited => connection.send(&limited)?,
            Fate::Cut => return Ok(()),
        }
    }
    Ok(())
}

/// Returns the number of logs in an envelope of the extension, which the header of its item tells.
fn lines(envelope: &[u8]) -> u64 {
    let headers: Vec<&[u8]> = envelope.splitn(3, |byte| *byte == b'\n').collect();
    let item = headers.get(1).and_then(|item| serde_json::from_slice::<Value>(item).ok());
    let is_log = |item: &Value| item.get("type").is_some_and(|kind| kind == "log");
    item.filter(is_log).and_then(|item| item.get("item_count")?.as_u64()).unwrap_or_default()
}
