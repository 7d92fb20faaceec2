//! What an SDK's envelope says about the invocation during which it was sent. It is read from the header and from the
//! first event or transaction.
//!
//! Payloads are not parsed but searched for the few names that matter, which is much faster. A quote inside a JSON
//! string is escaped, so a name with its quotes is found only where it is a name.

use super::json_fields::{fields, fields_of, leading, text, truth};
use memchr::memmem;
use std::borrow::Cow;

/// The most bytes of a payload that are searched. SDKs trim events to less.
pub(crate) const MAX_PAYLOAD: usize = 128 * 1024;
/// The most characters that are kept of an id or a name.
const MAX_TEXT: usize = 200;

/// What an envelope says. Every field is optional, and none is checked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct EnvelopeNote {
    /// The id that Lambda has given to the invocation.
    pub(crate) request: Option<String>,
    pub(crate) trace_id: Option<String>,
    pub(crate) span_id: Option<String>,
    pub(crate) sampled: Option<bool>,
    pub(crate) release: Option<String>,
    pub(crate) environment: Option<String>,
    /// Whether it contains an error that nothing in the function handled.
    pub(crate) unhandled: bool,
}

impl EnvelopeNote {
    /// Reads the envelope's header.
    pub(crate) fn of_header(line: &[u8]) -> Self {
        let trace = fields(line, ["trace"]).and_then(|[trace]| trace);
        let names = ["trace_id", "release", "environment", "sampled"];
        let Some([trace_id, release, environment, sampled]) = fields_of(trace, names) else {
            return Self::default();
        };
        Self {
            trace_id: text(trace_id).filter(|id| is_hex(id, 32)).map(Cow::into_owned),
            release: text(release).and_then(|release| short(&release)),
            environment: text(environment).and_then(|name| short(&name)),
            sampled: truth(sampled),
            ..Self::default()
        }
    }

    /// Adds what the payload of an event or a transaction says.
    pub(crate) fn add_payload(&mut self, payload: &[u8]) {
        let ids = [&br#""aws_request_id":"#[..], br#""faas.execution":"#, br#""faas.invocation_id":"#];
        self.request = ids.into_iter().find_map(|name| text_behind(payload, name));
        self.unhandled = [&br#""handled":false"#[..], br#""handled": false"#]
            .into_iter()
            .any(|name| memmem::find(payload, name).is_some());
        if let Some((trace_id, span_id)) = trace_context(payload) {
            // The span belongs to the trace in the event, which may differ from the one in the header.
            self.span_id = span_id.filter(|id| is_hex(id, 16)).map(Cow::into_owned);
            self.trace_id = Some(trace_id.into_owned());
        }
    }
}

/// Returns the ids of trace and span.
fn trace_context(payload: &[u8]) -> Option<(Cow<'_, str>, Option<Cow<'_, str>>)> {
    memmem::find_iter(payload, br#""trace":"#).take(4).find_map(|at| {
        let value = payload.get(at + br#""trace":"#.len()..)?;
        let [trace_id, span_id] = fields(value, ["trace_id", "span_id"])?;
        Some((text(trace_id).filter(|id| is_hex(id, 32))?, text(span_id)))
    })
}

fn text_behind(payload: &[u8], name: &[u8]) -> Option<String> {
    let at = memmem::find(payload, name)?;
    short(&text(leading(payload.get(at + name.len()..)?))?)
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
            concat!(
                r#"{{"event_id":"x","trace":{{"trace_id":"{}","sampled":"true","sample_rate":"1","#,
                r#""release":"shop@1","environment":"production"}}}}"#
            ),
            TRACE
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
            concat!(
                r#"{{"exception":{{"values":[{{"mechanism":{{"type":"aws_lambda","handled":false}}}}]}},"#,
                r#""contexts":{{"trace":{{"trace_id":"{}","span_id":"35465b3a9e2f7c6a"}}}},"#,
                r#""extra":{{"lambda":{{"aws_request_id":"r-1"}}}}}}"#
            ),
            TRACE
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
