//! Logs that wait to be sent together, and their container in Sentry's format. Pure.
//!
//! A log is written when it arrives, up to the point where trace, release and environment belong: those may be known
//! only at the end of the invocation, when the SDK's own data has passed. They are written when the container is made.

use super::attributes::Attributes;
use super::digits::{self, last_digit};
use crate::insights::lines::Line;
use crate::protocol::{LogLevel, json_text, timestamp};
use crate::telemetry::RequestId;
use std::time::SystemTime;

/// Sentry takes this many in a container.
const MAX_LOGS: usize = 100;
/// A container is made earlier if it has so many bytes.
const MAX_BYTES: usize = 256 * 1024;
/// The memory that an empty batch keeps.
const KEPT_BYTES: usize = 64 * 1024;
/// The order of logs of one millisecond. It starts at zero in each, and is billed as a number.
const SEQUENCE: &str = "sentry.timestamp.sequence";
/// Tells Relay not to add data about a browser, which it would take from the request's headers.
const START: &[u8] =
    br#"{"version":2,"ingest_settings":{"infer_ip":"never","infer_user_agent":"never"},"items":["#;
const END: &[u8] = b"]}";

/// What is the same for all logs of a request, or of an environment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::insights) struct LogContext {
    /// The function's name.
    pub(in crate::insights) function: String,
    pub(in crate::insights) environment: Option<String>,
    pub(in crate::insights) release: Option<String>,
    pub(in crate::insights) trace_id: String,
}

/// A container, ready to be sent.
#[derive(Debug)]
pub(in crate::insights) struct Container {
    /// The whole envelope.
    pub(in crate::insights) envelope: Vec<u8>,
    pub(in crate::insights) count: usize,
    /// The bytes that Sentry bills.
    pub(in crate::insights) billed: usize,
}

#[derive(Debug, Default)]
pub(super) struct Batch {
    /// All logs, one after the other, each without its end.
    written: Vec<u8>,
    logs: Vec<Waiting>,
    /// The requests that the logs belong to. There is one, or a few.
    requests: Vec<Option<RequestId>>,
    clock: Clock,
}

#[derive(Clone, Copy, Debug)]
struct Waiting {
    /// Where it ends.
    end: usize,
    /// The index of its request.
    request: usize,
    /// Without what is the same for all logs.
    billed: usize,
}

/// Numbers the logs of a millisecond.
#[derive(Debug, Default)]
struct Clock {
    millis: u64,
    next: u64,
    /// The start of a log of this millisecond.
    timestamp: Vec<u8>,
}

impl Clock {
    /// Returns the number of the next log.
    fn next(&mut self, millis: u64) -> u64 {
        if millis != self.millis || self.timestamp.is_empty() {
            (self.millis, self.next) = (millis, 0);
            self.timestamp.clear();
            self.timestamp.extend_from_slice(b"{\"timestamp\":");
            digits::push(&mut self.timestamp, millis / 1000);
            self.timestamp.push(b'.');
            self.timestamp.extend([millis / 100, millis / 10, millis].map(last_digit));
        }
        let number = self.next;
        self.next += 1;
        number
    }
}

impl Batch {
    /// Adds a log if `fits` says that its bytes may be sent. Returns those bytes, and whether it was added.
    pub(super) fn add(
        &mut self,
        line: &Line<'_>,
        level: LogLevel,
        request: Option<&RequestId>,
        time: SystemTime,
        fits: impl FnOnce(usize) -> bool,
    ) -> (usize, bool) {
        let start = self.written.len();
        let billed = self.write(line, level, request, time);
        if !fits(billed) {
            self.written.truncate(start);
            return (billed, false);
        }
        let known = self.requests.iter().rposition(|known| known.as_ref() == request);
        let request = known.unwrap_or_else(|| {
            self.requests.push(request.cloned());
            self.requests.len() - 1
        });
        self.logs.push(Waiting { end: self.written.len(), request, billed });
        (billed, true)
    }

    /// The bytes of all logs, with those of what is the same for all logs.
    pub(super) fn expected(&self, constant: ConstantBytes) -> usize {
        let of = |log: &Waiting| {
            let has_request = self.requests.get(log.request).is_some_and(Option::is_some);
            log.billed + constant.of(has_request)
        };
        self.logs.iter().map(of).sum()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.logs.is_empty()
    }

    /// Whether a container is to be made before another log is added.
    pub(super) fn is_full(&self) -> bool {
        self.logs.len() >= MAX_LOGS || self.written.len() >= MAX_BYTES
    }

    /// Makes a container of all logs. `context` says what belongs to a request. `None`: there are no logs.
    pub(super) fn take(
        &mut self,
        mut context: impl FnMut(Option<&RequestId>) -> LogContext,
    ) -> Option<Container> {
        if self.logs.is_empty() {
            return None;
        }
        let ends: Vec<(Vec<u8>, usize)> =
            self.requests.iter().map(|request| end(request.as_ref(), &context(request.as_ref()))).collect();
        let end_of =
            |log: &Waiting| ends.get(log.request).map_or((&b"}}"[..], 0), |(end, billed)| (&**end, *billed));
        let count = self.logs.len();
        let ends_length: usize = self.logs.iter().map(|log| end_of(log).0.len()).sum();
        let length = START.len() + self.written.len() + ends_length + (count - 1) + END.len();
        let head = head(count, length);
        let mut envelope = Vec::with_capacity(head.len() + length + 1);
        envelope.extend_from_slice(head.as_bytes());
        envelope.extend_from_slice(START);
        let (mut start, mut billed) = (0, 0);
        for log in &self.logs {
            let (end, constant) = end_of(log);
            if start > 0 {
                envelope.push(b',');
            }
            envelope.extend_from_slice(self.written.get(start..log.end).unwrap_or_default());
            envelope.extend_from_slice(end);
            billed += log.billed + constant;
            start = log.end;
        }
        envelope.extend_from_slice(END);
        envelope.push(b'\n');
        self.logs.clear();
        self.requests.clear();
        self.written.clear();
        self.written.shrink_to(KEPT_BYTES);
        Some(Container { envelope, count, billed })
    }

    /// Writes a log without its end. Returns the bytes that Sentry bills for this part.
    fn write(
        &mut self,
        line: &Line<'_>,
        level: LogLevel,
        request: Option<&RequestId>,
        time: SystemTime,
    ) -> usize {
        let millis = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_millis();
        let sequence = self.clock.next(u64::try_from(millis).unwrap_or(u64::MAX));
        let out = &mut self.written;
        // The bytes of most logs beside their texts.
        out.reserve(line.message.len() + 256);
        out.extend_from_slice(&self.clock.timestamp);
        out.extend_from_slice(after_timestamp(level).as_bytes());
        json_text::write(out, &line.message);
        out.extend_from_slice(b",\"attributes\":{");
        let mut attributes = Attributes::new(out);
        attributes.fields(&line.fields, |name| is_ours(name) || line.names_request(name, request));
        attributes.number(SEQUENCE, sequence);
        line.message.len() + attributes.billed
    }
}

/// What follows the timestamp of a log up to its text.
fn after_timestamp(level: LogLevel) -> &'static str {
    match level {
        LogLevel::Trace => r#","level":"trace","severity_number":1,"body":"#,
        LogLevel::Debug => r#","level":"debug","severity_number":5,"body":"#,
        LogLevel::Info => r#","level":"info","severity_number":9,"body":"#,
        LogLevel::Warn => r#","level":"warn","severity_number":13,"body":"#,
        LogLevel::Error => r#","level":"error","severity_number":17,"body":"#,
        LogLevel::Fatal => r#","level":"fatal","severity_number":21,"body":"#,
    }
}

/// The lines before the container.
fn head(count: usize, length: usize) -> String {
    let sent_at = timestamp::format(SystemTime::now());
    let version = env!("CARGO_PKG_VERSION");
    format!(
        concat!(
            "{{\"sent_at\":\"{}\",\"sdk\":{{\"name\":\"sentry.aws-lambda-extension\",\"version\":\"{}\"}}}}\n",
            "{{\"type\":\"log\",\"item_count\":{},",
            "\"content_type\":\"application/vnd.sentry.items.log+json\",\"length\":{}}}\n",
        ),
        sent_at, version, count, length
    )
}

/// The end of each log of a request, and the bytes that Sentry bills for it.
fn end(request: Option<&RequestId>, context: &LogContext) -> (Vec<u8>, usize) {
    let mut end = Vec::with_capacity(512);
    end.push(b',');
    let mut attributes = Attributes::new(&mut end);
    attributes.text("sentry.origin", "auto.log.aws_lambda");
    let request = request.map(ToString::to_string);
    let optional = [
        ("faas.name", Some(&context.function).filter(|name| !name.is_empty())),
        ("faas.invocation_id", request.as_ref()),
        ("sentry.environment", context.environment.as_ref()),
        ("sentry.release", context.release.as_ref()),
    ];
    for (name, value) in optional {
        if let Some(value) = value {
            attributes.text(name, value);
        }
    }
    let billed = attributes.billed;
    end.extend_from_slice(b"},\"trace_id\":\"");
    end.extend_from_slice(context.trace_id.as_bytes());
    end.extend_from_slice(b"\"}");
    (end, billed)
}

/// The bytes that Sentry bills in every log, as far as they are known when a log is written.
#[derive(Clone, Copy, Debug)]
pub(super) struct ConstantBytes {
    without_request: usize,
    with_request: usize,
}

impl ConstantBytes {
    pub(super) fn new(context: &LogContext) -> Self {
        let request = RequestId::new("00000000-0000-0000-0000-000000000000");
        Self { without_request: end(None, context).1, with_request: end(Some(&request), context).1 }
    }

    pub(super) fn of(self, has_request: bool) -> usize {
        if has_request { self.with_request } else { self.without_request }
    }
}

/// The attributes that the extension writes. A field of the function with one of these names would be there twice.
fn is_ours(name: &str) -> bool {
    matches!(
        name,
        "sentry.origin"
            | "faas.name"
            | "faas.invocation_id"
            | "sentry.environment"
            | "sentry.release"
            | SEQUENCE
    )
}

#[cfg(test)]
mod tests;
