//! What an SDK's envelope says of the invocation that it was sent in: read in passing, from the header and from the
//! first event or transaction.
//!
//! Payloads are searched for the few names that matter and not parsed, because every envelope pays for this. A quote
//! inside a JSON string is escaped, so that a name with its quotes is found only where it is a name.

use memchr::memmem;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;

/// So much of a payload is looked at. SDKs trim events to less.
pub(crate) const MAX_PAYLOAD: usize = 128 * 1024;
/// Longer ids and names are cut.
const MAX_TEXT: usize = 200;

/// What an envelope says. All of it is the SDK's word, and optional.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct EnvelopeNote {
    /// Lambda's name for the invocation.
    pub(crate) request: Option<String>,
    pub(crate) trace_id: Option<String>,
    pub(crate) span_id: Option<String>,
    pub(crate) sampled: Option<bool>,
    pub(crate) release: Option<String>,
    pub(crate) environment: Option<String>,
    /// It holds an error that nothing in the function handled.
    pub(crate) unhandled: bool,
}

#[derive(Deserialize)]
struct Header<'a> {
    #[serde(borrow)]
    trace: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct DynamicSamplingContext<'a> {
    #[serde(borrow)]
    trace_id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    release: Option<Cow<'a, str>>,
    #[serde(borrow)]
    environment: Option<Cow<'a, str>>,
    #[serde(borrow)]
    sampled: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct TraceContext<'a> {
    #[serde(borrow)]
    trace_id: Cow<'a, str>,
    #[serde(borrow)]
    span_id: Option<Cow<'a, str>>,
}

impl EnvelopeNote {
    /// Reads the envelope's header.
    pub(crate) fn of_header(line: &[u8]) -> Self {
        let header = serde_json::from_slice::<Header<'_>>(line).ok().and_then(|header| header.trace);
        let trace =
            header.and_then(|trace| serde_json::from_str::<DynamicSamplingContext<'_>>(trace.get()).ok());
        let Some(trace) = trace else { return Self::default() };
        let sampled = trace.sampled.map(|sampled| sampled.get().trim_matches('"'));
        Self {
            trace_id: trace.trace_id.filter(|id| is_hex(id, 32)).map(Cow::into_owned),
            release: trace.release.and_then(|release| short(&release)),
            environment: trace.environment.and_then(|name| short(&name)),
            sampled: sampled.and_then(|sampled| sampled.parse().ok()),
            ..Self::default()
        }
    }

    /// Adds what an event or a transaction says.
    pub(crate) fn add_payload(&mut self, payload: &[u8]) {
        let ids = [&br#""aws_request_id":"#[..], br#""faas.execution":"#, br#""faas.invocation_id":"#];
        self.request = ids.into_iter().find_map(|name| text_behind(payload, name));
        self.unhandled = [&br#""handled":false"#[..], br#""handled": false"#]
            .into_iter()
            .any(|name| memmem::find(payload, name).is_some());
        if let Some(trace) = trace_context(payload) {
            // The event's own trace is the one that its span belongs to.
            self.span_id = trace.span_id.filter(|id| is_hex(id, 16)).map(Cow::into_owned);
            self.trace_id = Some(trace.trace_id.into_owned());
        }
    }
}

fn trace_context(payload: &[u8]) -> Option<TraceContext<'_>> {
    memmem::find_iter(payload, br#""trace":"#).take(4).find_map(|at| {
        let value = payload.get(at + br#""trace":"#.len()..)?;
        let trace: TraceContext<'_> = leading(value)?;
        is_hex(&trace.trace_id, 32).then_some(trace)
    })
}

fn text_behind(payload: &[u8], name: &[u8]) -> Option<String> {
    let at = memmem::find(payload, name)?;
    let text: Cow<'_, str> = leading(payload.get(at + name.len()..)?)?;
    short(&text)
}

/// The JSON value at the start; whatever comes behind it is not looked at.
fn leading<'a, T: Deserialize<'a>>(json: &'a [u8]) -> Option<T> {
    T::deserialize(&mut serde_json::Deserializer::from_slice(json)).ok()
}

fn short(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.chars().take(MAX_TEXT).collect())
}

fn is_hex(text: &str, length: usize) -> bool {
    text.len() == length && text.bytes().all(|b| b.is_ascii_hexdigit()) && text.bytes().any(|b| b != b'0')
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "67d448e83ae320be0e2cdf2f53ccdaba";

    #[test]
    fn the_header_names_trace_and_release() {
        let header = format!(
            r#"{{"event_id":"x","trace":{{"trace_id":"{TRACE}","sampled":"true","sample_rate":"1","release":"shop@1","environment":"production"}}}}"#
        );
        let note = EnvelopeNote::of_header(header.as_bytes());
        assert_eq!(note.trace_id.as_deref(), Some(TRACE));
        assert_eq!(
            (note.release.as_deref(), note.environment.as_deref()),
            (Some("shop@1"), Some("production"))
        );
        assert_eq!(note.sampled, Some(true));
        assert_eq!(EnvelopeNote::of_header(br#"{"trace":{"sampled":false}}"#).sampled, Some(false));
        for odd in
            ["", "{}", "[]", r#"{"trace":7}"#, r#"{"trace":{"trace_id":7}}"#, r#"{"trace":{"trace_id":"0"}}"#]
        {
            assert_eq!(EnvelopeNote::of_header(odd.as_bytes()), EnvelopeNote::default(), "{odd}");
        }
    }

    #[test]
    fn what_events_of_the_sdks_say() {
        let python = format!(
            r#"{{"exception":{{"values":[{{"mechanism":{{"type":"aws_lambda","handled":false}}}}]}},"contexts":{{"trace":{{"trace_id":"{TRACE}","span_id":"35465b3a9e2f7c6a"}}}},"extra":{{"lambda":{{"aws_request_id":"r-1"}}}}}}"#
        );
        let spaced = python.replace(':', ": ");
        for event in [python, spaced] {
            let mut note = EnvelopeNote::default();
            note.add_payload(event.as_bytes());
            assert_eq!(note.request.as_deref(), Some("r-1"), "{event}");
            assert!(note.unhandled);
            assert_eq!(note.trace_id.as_deref(), Some(TRACE));
            assert_eq!(note.span_id.as_deref(), Some("35465b3a9e2f7c6a"));
        }
    }

    #[test]
    fn what_only_looks_like_it() {
        let mut note = EnvelopeNote { trace_id: Some(TRACE.to_owned()), ..EnvelopeNote::default() };
        let known = note.clone();
        for event in [
            r#"{"message":"{\"handled\":false,\"aws_request_id\":\"r-1\"}"}"#,
            r#"{"handled":true,"trace":"no object","aws_request_id":7}"#,
            r#"{"trace":{"trace_id":"00000000000000000000000000000000"},"aws_request_id":""#,
            "",
        ] {
            note.add_payload(event.as_bytes());
            assert_eq!(note, known, "{event}");
        }
    }
}
