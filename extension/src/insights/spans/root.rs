//! What a passing envelope says of the trace that its SDK has made: the root span of the invocation, and whether the
//! trace is sampled. Pure.
//!
//! SDKs send a trace as a transaction, whose own span is the root, or as containers of spans, of which one is the root.
//! The envelope's header says whether the trace is sampled. Of a trace that is not, nothing is sent but, with the next
//! envelope, the number of transactions that were left out.

use crate::protocol::ItemKind;
use crate::relay::ReportTarget;
use memchr::memmem;
use serde::Deserialize;
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

#[derive(Deserialize)]
struct Header<'a> {
    #[serde(borrow)]
    trace: Option<&'a RawValue>,
}

/// What decides on the sampling of a trace.
#[derive(Deserialize)]
struct SamplingContext<'a> {
    #[serde(borrow)]
    trace_id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    public_key: Option<Cow<'a, str>>,
    /// `"true"`, `"false"`, or a truth value.
    #[serde(borrow)]
    sampled: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Transaction<'a> {
    #[serde(borrow)]
    contexts: Contexts<'a>,
}

#[derive(Deserialize)]
struct Contexts<'a> {
    #[serde(borrow)]
    trace: SpanPart<'a>,
}

#[derive(Deserialize)]
struct Container<'a> {
    #[serde(borrow)]
    items: Vec<SpanPart<'a>>,
}

/// A span of a container, or the context of a transaction.
#[derive(Deserialize)]
struct SpanPart<'a> {
    #[serde(borrow)]
    trace_id: Cow<'a, str>,
    #[serde(borrow)]
    span_id: Cow<'a, str>,
    #[serde(borrow)]
    op: Option<&'a RawValue>,
    is_segment: Option<bool>,
    #[serde(borrow, default)]
    attributes: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Attributes<'a> {
    #[serde(borrow, rename = "sentry.op")]
    op: Option<Attribute<'a>>,
    #[serde(borrow, rename = "faas.invocation_id")]
    request: Option<Attribute<'a>>,
    /// The name of Sentry's SDK for Node.
    #[serde(borrow, rename = "aws.lambda.aws_request_id")]
    request_in_node: Option<Attribute<'a>>,
}

#[derive(Deserialize)]
struct Attribute<'a> {
    #[serde(borrow)]
    value: Cow<'a, str>,
}

impl TraceNote {
    /// Reads an envelope that is not compressed. `items` are the kinds of its items and their payloads.
    pub(in crate::insights) fn read<'a>(
        header: &[u8],
        items: impl Iterator<Item = (ItemKind, &'a [u8])>,
        target: &ReportTarget,
    ) -> Self {
        let trace = serde_json::from_slice::<Header<'_>>(header).ok().and_then(|header| header.trace);
        let sampled = trace.and_then(|trace| serde_json::from_str::<SamplingContext<'_>>(trace.get()).ok());
        let is_sampled = sampled.as_ref().and_then(SamplingContext::is_sampled);
        let mut note = Self { is_tracing: is_sampled.is_some(), roots: Vec::new() };
        let of_sampled = trace.zip(sampled).filter(|(raw, trace)| {
            is_sampled == Some(true) && trace.public_key.is_some() && raw.get().len() <= MAX_TRACE
        });
        for (kind, payload) in items {
            match kind {
                ItemKind::Transaction | ItemKind::Span => note.is_tracing = true,
                ItemKind::Other => note.is_tracing |= reports_unsampled(payload),
                _ => {}
            }
            let Some((raw, trace)) = &of_sampled else { continue };
            let root = match kind {
                ItemKind::Transaction => Root::of_transaction(payload),
                ItemKind::Span => Root::of_container(payload),
                _ => None,
            };
            // Sentry takes no span whose trace is not that of the header.
            let is_of_trace = |root: &Found<'_>| trace.trace_id.as_deref() == Some(&*root.trace_id);
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

impl SamplingContext<'_> {
    fn is_sampled(&self) -> Option<bool> {
        self.sampled?.get().trim_matches('"').parse().ok()
    }
}

/// A root span that was found in a payload.
struct Found<'a> {
    trace_id: Cow<'a, str>,
    span_id: Cow<'a, str>,
    request: Option<String>,
    is_of_function: bool,
}

impl Found<'_> {
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
        let span = serde_json::from_slice::<Transaction<'_>>(payload).ok()?.contexts.trace;
        let op = span.op.map(RawValue::get).unwrap_or_default();
        Some(Found {
            is_of_function: op.trim_matches('"').starts_with(OF_FUNCTION),
            // The note that is taken of every transaction tells it.
            request: None,
            ..span.found()?
        })
    }

    fn of_container(payload: &[u8]) -> Option<Found<'_>> {
        let container: Container<'_> = serde_json::from_slice(payload).ok()?;
        let roots = container.items.into_iter().filter(|span| span.is_segment == Some(true));
        let found = roots.filter_map(|span| {
            let attributes: Option<Attributes<'_>> =
                span.attributes.and_then(|attributes| serde_json::from_str(attributes.get()).ok());
            let (op, request) =
                attributes.map(|all| (all.op, all.request.or(all.request_in_node))).unwrap_or_default();
            Some(Found {
                is_of_function: op.is_some_and(|op| op.value.starts_with(OF_FUNCTION)),
                request: request.map(|request| request.value.into_owned()),
                ..span.found()?
            })
        });
        found.max_by_key(|found| (found.is_of_function, found.request.is_some()))
    }
}

impl<'a> SpanPart<'a> {
    /// `None`: the ids are none.
    fn found(self) -> Option<Found<'a>> {
        let is_id = |id: &str, length: usize| id.len() == length && id.bytes().all(|b| b.is_ascii_hexdigit());
        let Self { trace_id, span_id, .. } = self;
        (is_id(&trace_id, 32) && is_id(&span_id, 16)).then_some(Found {
            trace_id,
            span_id,
            request: None,
            is_of_function: false,
        })
    }
}

#[cfg(test)]
mod tests;
