//! Hands spans, metrics and check-ins to the relay. `/next` is held for none but check-ins: people are alerted if one
//! does not come in time.

use super::Shared;
use super::spans::SpanSet;
use crate::config::{Function, variable};
use crate::log;
use crate::protocol::ItemKind;
use crate::protocol::envelope_writer::{self, Contained};
use crate::relay::{Acceptance, Envelope, ReportTarget};
use std::sync::Arc;
use std::time::SystemTime;

impl Shared {
    /// Sends the spans that are certain now.
    pub(super) fn send_spans(&self) {
        let sets = self.environment().take_spans(|| Function::read(variable), self.key.expose());
        for SpanSet { trace, spans, target } in sets {
            let target = target.unwrap_or_else(|| self.own_target());
            let container = envelope_writer::container("span", "span.v2", Some(&trace), &spans);
            self.submit(target, ItemKind::Span, container);
        }
    }

    /// Sends the metrics that are due, and the check-ins that are certain now.
    pub(super) fn send_measurements(&self, now: SystemTime) {
        let mut environment = self.environment();
        let (check_ins, metrics) = (environment.take_check_ins(now), environment.take_metrics(now));
        drop(environment);
        for check_in in check_ins {
            let item = envelope_writer::single("check_in", &check_in);
            self.submit(self.own_target(), ItemKind::CheckIn, item);
        }
        if !metrics.is_empty() {
            let container = envelope_writer::container("trace_metric", "trace-metric", None, &metrics);
            self.submit(self.own_target(), ItemKind::Metric, container);
        }
    }

    /// The project of the extension's own DSN.
    fn own_target(&self) -> ReportTarget {
        let (upstream, key) = (Arc::clone(&self.upstream), self.key.clone());
        ReportTarget { upstream, key, project: self.project }
    }

    fn submit(&self, target: ReportTarget, kind: ItemKind, (item, body): (Contained, Vec<u8>)) {
        let ReportTarget { upstream, key, project } = target;
        let mut envelope = Envelope::of_ours(upstream, key, project, item.of(kind), body);
        envelope.is_background = kind != ItemKind::CheckIn;
        if let Acceptance::Limited { retry_after, .. } = self.relay.accept(envelope) {
            let fields: [log::Field<'_>; 2] = [("items", &item.count), ("retry_after", &retry_after)];
            log::debug("Sentry's rate limits forbid what the extension has measured", &fields);
        }
    }
}
