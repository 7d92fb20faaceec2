//! Client reports tell Sentry what was lost here, so that Sentry's statistics show it.
//!
//! A report is sent right after a delivery, over the same connection, and at the end of SHUTDOWN. No connection is
//! opened and no invocation is held only for a report.

use super::envelope::Envelope;
use super::ledger::DropReason;
use crate::config::{ProjectId, PublicKey, Upstream};
use crate::protocol::{Category, Item, ItemKind};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// The shortest time between two reports to the same project.
const INTERVAL: Duration = Duration::from_secs(30);
/// The most projects whose losses are kept at a time. The losses of further projects are not reported, but still
/// logged.
const MAX_PROJECTS: usize = 16;

/// The project and key that a report is for.
#[derive(Clone, Debug, PartialEq, Eq)]
struct ReportTarget {
    upstream: Arc<Upstream>,
    key: PublicKey,
    project: ProjectId,
}

impl ReportTarget {
    fn of(envelope: &Envelope) -> Self {
        Self {
            upstream: Arc::clone(&envelope.upstream),
            key: envelope.key.clone(),
            project: envelope.project,
        }
    }
}

/// The number of lost items by reason and category.
type Losses = BTreeMap<(&'static str, Category), u64>;

#[derive(Debug)]
struct ProjectLosses {
    target: ReportTarget,
    losses: Losses,
    /// Whether a delivery to this project succeeded after the last report.
    has_delivery: bool,
    last_report: Option<SystemTime>,
}

impl ProjectLosses {
    fn is_due(&self, now: SystemTime, last_chance: bool) -> bool {
        // If the clock was set back, the time since the last report is unknown, and the report may be sent.
        let is_over = |last| now.duration_since(last).map_or(true, |passed| passed >= INTERVAL);
        !self.losses.is_empty() && (last_chance || self.has_delivery && self.last_report.is_none_or(is_over))
    }
}

/// A report that is being sent. If it does not arrive, `give_back` keeps its losses.
#[derive(Debug)]
pub(super) struct ClientReport {
    target: ReportTarget,
    losses: Losses,
}

/// All losses that are not reported yet.
#[derive(Debug, Default)]
pub(super) struct ClientReports(Vec<ProjectLosses>);

impl ClientReports {
    /// Records that these items of an envelope are lost.
    pub(super) fn lose<'a>(
        &mut self,
        envelope: &Envelope,
        items: impl IntoIterator<Item = &'a Item>,
        reason: DropReason,
    ) {
        let Some(project) = self.project(ReportTarget::of(envelope)) else { return };
        for (category, quantity) in items.into_iter().flat_map(Item::quantities) {
            *project.losses.entry((reason.report(), category)).or_default() += quantity;
        }
    }

    /// Records that upstream took an envelope of this project, so that a report may follow.
    pub(super) fn delivered(&mut self, envelope: &Envelope) {
        let target = ReportTarget::of(envelope);
        if let Some(project) = self.0.iter_mut().find(|project| project.target == target) {
            project.has_delivery = true;
        }
    }

    /// Takes out the next report that may be sent to an upstream for which `is_healthy` returns true. At SHUTDOWN
    /// (`last_chance`) the interval and the preceding delivery are not required.
    pub(super) fn take(
        &mut self,
        now: SystemTime,
        last_chance: bool,
        is_healthy: impl Fn(&Arc<Upstream>) -> bool,
    ) -> Option<ClientReport> {
        let is_ready = |project: &&mut ProjectLosses| {
            project.is_due(now, last_chance) && is_healthy(&project.target.upstream)
        };
        let project = self.0.iter_mut().find(is_ready)?;
        project.has_delivery = false;
        project.last_report = Some(now);
        Some(ClientReport { target: project.target.clone(), losses: std::mem::take(&mut project.losses) })
    }

    /// Whether there are losses to report to an upstream for which `is_healthy` returns true.
    pub(super) fn any(&self, is_healthy: impl Fn(&Arc<Upstream>) -> bool) -> bool {
        self.0.iter().any(|project| !project.losses.is_empty() && is_healthy(&project.target.upstream))
    }

    /// Keeps the losses of a report that did not arrive.
    pub(super) fn give_back(&mut self, report: ClientReport) {
        let Some(project) = self.project(report.target) else { return };
        for (what, quantity) in report.losses {
            *project.losses.entry(what).or_default() += quantity;
        }
    }

    /// Returns the losses of this project, and adds an entry if there is room. `None` means that there is no room.
    fn project(&mut self, target: ReportTarget) -> Option<&mut ProjectLosses> {
        let known = self.0.iter().position(|project| project.target == target);
        if known.is_none() && self.0.len() >= MAX_PROJECTS {
            // An entry without losses is needed only for the time of its last report, so it may be removed.
            let reported = self.0.iter().position(|project| project.losses.is_empty())?;
            self.0.remove(reported);
        }
        let at = known.unwrap_or_else(|| {
            self.0.push(ProjectLosses {
                target,
                losses: Losses::new(),
                has_delivery: false,
                last_report: None,
            });
            self.0.len() - 1
        });
        self.0.get_mut(at)
    }
}

impl ClientReport {
    /// Makes the envelope that contains this report.
    pub(super) fn envelope(&self, now: SystemTime) -> Envelope {
        let seconds = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
        let discarded: Vec<String> = self
            .losses
            .iter()
            .map(|((reason, category), quantity)| {
                let category = category.name();
                format!("{{\"reason\":\"{reason}\",\"category\":\"{category}\",\"quantity\":{quantity}}}")
            })
            .collect();
        let report = format!("{{\"timestamp\":{seconds},\"discarded_events\":[{}]}}", discarded.join(","));
        let body = format!("{{}}\n{{\"type\":\"client_report\",\"length\":{}}}\n{report}\n", report.len());
        let ReportTarget { upstream, key, project } = self.target.clone();
        let item = Item { kind: ItemKind::Other, count: 1, bytes: report.len() };
        Envelope::of_ours(upstream, key, project, item, body)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::relay::envelope::sample;

    fn now() -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000)
    }

    fn text(report: &ClientReport) -> String {
        String::from_utf8(report.envelope(now()).body.to_vec()).unwrap()
    }

    #[test]
    fn losses_add_up_and_are_reported_after_a_delivery() {
        let mut client_reports = ClientReports::default();
        let lost = sample(ItemKind::Transaction, 9);
        client_reports.lose(&lost, &lost.items, DropReason::QueueOverflow);
        client_reports.lose(&lost, &lost.items, DropReason::QueueOverflow);
        client_reports.lose(&lost, &lost.items, DropReason::RateLimit);
        assert!(client_reports.take(now(), false, |_| true).is_none(), "nothing was delivered yet");
        client_reports.delivered(&lost);
        let report = text(&client_reports.take(now(), false, |_| true).unwrap());
        let expected = "{\"timestamp\":1700000000,\"discarded_events\":[\
            {\"reason\":\"queue_overflow\",\"category\":\"transaction\",\"quantity\":2},\
            {\"reason\":\"queue_overflow\",\"category\":\"span\",\"quantity\":2},\
            {\"reason\":\"ratelimit_backoff\",\"category\":\"transaction\",\"quantity\":1},\
            {\"reason\":\"ratelimit_backoff\",\"category\":\"span\",\"quantity\":1}]}";
        assert!(report.ends_with(&format!("{expected}\n")), "{report}");
        assert!(report.contains(&format!("\"length\":{}", expected.len())), "{report}");
    }

    #[test]
    fn reports_keep_the_interval_except_at_shutdown() {
        let mut client_reports = ClientReports::default();
        let lost = sample(ItemKind::Event, 9);
        client_reports.lose(&lost, &lost.items, DropReason::Network);
        client_reports.delivered(&lost);
        let first = client_reports.take(now(), false, |_| true).unwrap();
        client_reports.give_back(first);
        client_reports.delivered(&lost);
        assert!(client_reports.take(now() + Duration::from_secs(1), false, |_| true).is_none());
        assert!(client_reports.take(now() + INTERVAL, false, |_| true).is_some());
        assert!(
            client_reports.take(now() + INTERVAL, true, |_| true).is_none(),
            "the report was already taken"
        );
        client_reports.lose(&lost, &lost.items, DropReason::Network);
        assert!(client_reports.take(now() + INTERVAL, true, |_| true).is_some());
    }

    #[test]
    fn reported_projects_make_room_for_others() {
        let mut client_reports = ClientReports::default();
        let of = |project: usize| Envelope {
            project: ProjectId::parse(&project.to_string()).unwrap(),
            ..sample(ItemKind::Event, 9)
        };
        let lose = |client_reports: &mut ClientReports, project| {
            let lost = of(project);
            client_reports.lose(&lost, &lost.items, DropReason::Network);
        };
        for project in 1..=MAX_PROJECTS + 1 {
            lose(&mut client_reports, project);
        }
        let reported = std::iter::from_fn(|| client_reports.take(now(), true, |_| true)).count();
        assert_eq!(reported, MAX_PROJECTS, "the number of projects is bounded");
        lose(&mut client_reports, MAX_PROJECTS + 1);
        assert!(client_reports.take(now(), true, |_| true).is_some());
    }

    #[test]
    fn item_without_a_category_is_not_reported() {
        let mut client_reports = ClientReports::default();
        let lost = sample(ItemKind::Other, 9);
        client_reports.lose(&lost, &lost.items, DropReason::Network);
        assert!(client_reports.take(now(), true, |_| true).is_none());
    }
}
