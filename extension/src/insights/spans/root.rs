//! What a passing envelope says of the trace that its SDK has made: the root span of the invocation, and whether the
//! trace is sampled. Pure.
//!
//! SDKs send a trace as a transaction, whose own span is the root, or as containers of spans, of which one is the root.
//! The envelope's header says whether the trace is sampled. Of a trace that is not, nothing is sent but, with the next
//! envelope, the number of transactions that were left out.

use crate::protocol::ItemKind;
use crate::protocol::json_fields::{elements, fields, fields_of, text, truth};
use crate::relay::ReportTarget;
use memchr::memmem;
use serde_json::value::RawValue;
use std::borrow::Cow;

/// The beginning of the operation of a root span that the SDK's integration for Lambda makes.
const OF_FUNCTION: &str = "function.aws";
/// The most bytes that are kept of the description of a trace in an envelope's header. SDKs send about 300.
const MAX_TRACE: usize = 4096;

/// What an envelope says of its trace.
#[derive(Debug, Default, PartialEq, Eq)]
pub(in crate::insights) struct TraceNote {
    /// Whether the SDK makes traces at all.
    pub(in crate::insights) is_tracing: bool,
    /// The root spans of sampled traces. An SDK may make several in an invocation.
    pub(in crate::insights) roots: Vec<Root>,
}

/// The root span of an SDK in an invocation, whose trace is sampled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::insights) struct Root {
    pub(in crate::insights) trace_id: String,
    pub(in crate::insights) span_id: String,
    /// The id of the invocation, if the span names it.
    pub(in crate::insights) request: Option<String>,
    /// Whether the span stands for the invocation, and not for something that the function does.
    pub(in crate::insights) is_of_function: bool,
    /// The `trace` of the envelope's header, byte for byte: Sentry samples all spans of a trace by it.
    pub(in crate::insights) trace: String,
    /// Where the SDK sends its data.
    pub(in crate::insights) target: ReportTarget,
}

impl TraceNote {
    /// Reads an envelope that is not compressed. `items` are the kinds of its items and their payloads.
    pub(in crate::insights) fn read<'a>(
        header: &[u8],
        items: impl Iterator<Item = (ItemKind, &'a [u8])>,
        target: &ReportTarget,
    ) -> Self {
        let trace = fields(header, ["trace"]).and_then(|[trace]| trace);
        let [trace_id, key, sampled] =
            fields_of(trace, ["trace_id", "public_key", "sampled"]).unwrap_or_default();
        // It is `"true"`, `"false"`, or a truth value.
        let is_sampled = truth(sampled);
        let mut note = Self { is_tracing: is_sampled.is_some(), roots: Vec::new() };
        let trace_id = text(trace_id);
        let of_sampled = trace
            .filter(|raw| is_sampled == Some(true) && text(key).is_some() && raw.get().len() <= MAX_TRACE);
        for (kind, payload) in items {
            match kind {
                ItemKind::Transaction | ItemKind::Span => note.is_tracing = true,
                ItemKind::Other => note.is_tracing |= reports_unsampled(payload),
                _ => {}
            }
            let Some(raw) = of_sampled else { continue };
            let root = match kind {
                ItemKind::Transaction => Root::of_transaction(payload),
                ItemKind::Span => Root::of_container(payload),
                _ => None,
            };
            // Sentry takes no span whose trace is not that of the header.
            let is_of_trace = |root: &Found<'_>| trace_id.as_deref() == Some(&*root.trace_id);
            note.roots.extend(root.filter(is_of_trace).map(|found| found.root(raw.get(), target)));
        }
        note
    }
}

/// Whether this is a client report that counts transactions or spans which the SDK has not sampled.
fn reports_unsampled(payload: &[u8]) -> bool {
    let has = |name: &[u8]| memmem::find(payload, name).is_some();
    has(b"\"discarded_events\"") && has(b"\"sample_rate\"") && (has(b"\"transaction\"") || has(b"\"span\""))
}

/// A root span that was found in a payload.
struct Found<'a> {
    trace_id: Cow<'a, str>,
    span_id: Cow<'a, str>,
    request: Option<String>,
    is_of_function: bool,
}

impl<'a> Found<'a> {
    /// Reads a span of a container, or the context of a transaction. `None`: the ids are none.
    fn of_span(span: Option<&'a RawValue>) -> Option<Self> {
        let is_id = |id: &str, length: usize| id.len() == length && id.bytes().all(|b| b.is_ascii_hexdigit());
        let [trace_id, span_id] = fields_of(span, ["trace_id", "span_id"])?.map(text);
        Some(Self {
            trace_id: trace_id.filter(|id| is_id(id, 32))?,
            span_id: span_id.filter(|id| is_id(id, 16))?,
            request: None,
            is_of_function: false,
        })
    }

    fn root(self, trace: &str, target: &ReportTarget) -> Root {
        Root {
            trace_id: self.trace_id.into_owned(),
            span_id: self.span_id.into_owned(),
            request: self.request,
            is_of_function: self.is_of_function,
            trace: trace.to_owned(),
            target: target.clone(),
        }
    }
}

impl Root {
    fn of_transaction(payload: &[u8]) -> Option<Found<'_>> {
        let [contexts] = fields(payload, ["contexts"])?;
        let [trace] = fields_of(contexts, ["trace"])?;
        let [op] = fields_of(trace, ["op"])?;
        Some(Found {
            is_of_function: text(op).is_some_and(|op| op.starts_with(OF_FUNCTION)),
            // The note that is taken of every transaction tells it.
            ..Found::of_span(trace)?
        })
    }

    fn of_container(payload: &[u8]) -> Option<Found<'_>> {
        let [items] = fields(payload, ["items"])?;
        let found = elements(items).into_iter().filter_map(|span| {
            let [is_segment, attributes] = fields_of(Some(span), ["is_segment", "attributes"])?;
            if truth(is_segment) != Some(true) {
                return None;
            }
            // The last is the name of Sentry's SDK for Node.
            let names = ["sentry.op", "faas.invocation_id", "aws.lambda.aws_request_id"];
            let [op, request, request_in_node] = fields_of(attributes, names).unwrap_or_default();
            let value = |attribute| fields_of(attribute, ["value"]).and_then(|[value]| text(value));
            Some(Found {
                is_of_function: value(op).is_some_and(|op| op.starts_with(OF_FUNCTION)),
                request: value(request).or_else(|| value(request_in_node)).map(Cow::into_owned),
                ..Found::of_span(Some(span))?
            })
        });
        found.max_by_key(|found| (found.is_of_function, found.request.is_some()))
    }
}

#[cfg(test)]
mod tests;
