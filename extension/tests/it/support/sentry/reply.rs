//! The responses of the stand-in, and when they are sent.

use http_body_util::Full;
use hyper::{Response, body::Bytes};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::sync::watch;

/// The response to one envelope.
pub struct Reply {
    status: Option<u16>,
    headers: Vec<(&'static str, String)>,
    body: Option<String>,
    delay: Duration,
    gate: Option<Gate>,
}

/// The error that makes hyper close the connection without a response.
#[derive(Debug)]
pub struct Close;

impl std::error::Error for Close {}

impl std::fmt::Display for Close {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("closed as scripted")
    }
}

/// Holds responses back until it is opened.
#[derive(Clone)]
pub struct Gate(watch::Sender<bool>);

impl Gate {
    pub fn closed() -> Self {
        Self(watch::Sender::new(false))
    }

    pub fn open(&self) {
        self.0.send_replace(true);
    }
}

impl Reply {
    /// Returns Sentry's response: 200 and the event's id.
    pub fn ok() -> Self {
        Self::status(200)
    }

    pub fn status(status: u16) -> Self {
        Self { status: Some(status), headers: Vec::new(), body: None, delay: Duration::ZERO, gate: None }
    }

    /// Closes the connection without a response.
    pub fn close() -> Self {
        Self { status: None, ..Self::ok() }
    }

    pub fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    pub fn body(mut self, body: impl Into<String>) -> Self {
        self.body = Some(body.into());
        self
    }

    /// Sends the response after this time.
    pub fn after(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// Sends the response once the gate is open.
    pub fn held_by(mut self, gate: &Gate) -> Self {
        self.gate = Some(gate.clone());
        self
    }

    pub(super) fn code(&self) -> Option<u16> {
        self.status
    }

    /// Waits until the response may be sent.
    pub(super) async fn due(&self) {
        if let Some(gate) = &self.gate {
            // `self` owns the sender of the channel, so the wait cannot fail.
            let _ = gate.0.subscribe().wait_for(|open| *open).await;
        }
        if !self.delay.is_zero() {
            tokio::time::sleep(self.delay).await;
        }
    }

    pub(super) fn or_id(mut self, id: &Value) -> Self {
        let body = if id.is_null() { json!({}) } else { json!({ "id": id }) };
        self.body.get_or_insert(body.to_string());
        self
    }

    pub(super) fn into_result(self) -> Result<Response<Full<Bytes>>, Close> {
        if self.status.is_none() { Err(Close) } else { Ok(self.response()) }
    }

    pub(super) fn response(self) -> Response<Full<Bytes>> {
        let mut response = Response::builder().status(self.status.unwrap_or(200));
        for (name, value) in self.headers {
            response = response.header(name, value);
        }
        response.body(Full::from(self.body.unwrap_or_default())).unwrap()
    }
}
