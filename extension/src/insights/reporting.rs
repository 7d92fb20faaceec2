//! Hands to the relay what the extension itself has measured. `/next` is never held for it.

use super::Shared;
use super::spans::SpanSet;
use crate::config::{Function, variable};
use crate::log;
use crate::protocol::{ItemKind, envelope_writer};
use crate::relay::{Acceptance, Envelope, ReportTarget};
use std::sync::Arc;

impl Shared {
    /// Sends the spans that are certain now.
    pub(super) fn send_spans(&self) {
        let sets = self.environment().take_spans(|| Function::read(variable), self.key.expose());
        for SpanSet { trace, spans, target } in sets {
            let target = target.unwrap_or_else(|| self.own_target());
            let container = envelope_writer::container("span", "span.v2", Some(&trace), &spans);
            self.send(target, ItemKind::Span, container);
        }
    }

    /// The project of the extension's own DSN.
    fn own_target(&self) -> ReportTarget {
        let (upstream, key) = (Arc::clone(&self.upstream), self.key.clone());
        ReportTarget { upstream, key, project: self.project }
    }

    fn send(
        &self,
        target: ReportTarget,
        kind: ItemKind,
        (item, body): (envelope_writer::Contained, Vec<u8>),
    ) {
        let ReportTarget { upstream, key, project } = target;
        let envelope = Envelope::of_ours(upstream, key, project, item.of(kind), body).in_background();
        if let Acceptance::Limited { retry_after, .. } = self.relay.accept(envelope) {
            let fields: [log::Field<'_>; 2] = [("items", &item.count), ("retry_after", &retry_after)];
            log::debug("Sentry's rate limits forbid what the extension has measured", &fields);
        }
    }
}
