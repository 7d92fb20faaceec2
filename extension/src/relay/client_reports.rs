//! Client reports tell Sentry what was lost here, so that Sentry's statistics show it.
//!
//! A report is sent right after an answer of upstream, over the same connection, or later while an idle connection is
//! there, and at the end of SHUTDOWN. No connection is opened and no invocation is held only for a report.

mod losses;

use super::envelope::Envelope;
use super::ledger::DropReason;
use crate::config::{ProjectId, PublicKey, Upstream};
use crate::protocol::{Item, ItemKind};
use losses::Losses;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// The shortest time between two reports to the same project. It is shorter than the time for which an idle connection
/// is kept, so that a report can use the connection of the one before.
const INTERVAL: Duration = Duration::from_secs(20);
/// The most projects whose losses are kept at a time. The losses of further projects are not reported, but still
/// logged.
const MAX_PROJECTS: usize = 16;

/// The project and key that a report is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ReportTarget {
    pub(crate) upstream: Arc<Upstream>,
    pub(crate) key: PublicKey,
    pub(crate) project: ProjectId,
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

#[derive(Debug)]
struct ProjectLosses {
    target: ReportTarget,
    losses: Losses,
    /// Whether upstream has answered an envelope of this project after the last report.
    has_answer: bool,
    last_report: Option<SystemTime>,
}

impl ProjectLosses {
    /// Returns the rest of the interval since the last report.
    fn wait(&self, now: SystemTime) -> Duration {
        // If the clock was set back, the time since the last report is unknown, and the report may be sent.
        let left =
            |last| now.duration_since(last).map_or(Duration::ZERO, |passed| INTERVAL.saturating_sub(passed));
        self.last_report.map_or(Duration::ZERO, left)
    }

    fn is_due(
        &self,
        now: SystemTime,
        last_chance: bool,
        is_connected: impl Fn(&Arc<Upstream>) -> bool,
    ) -> bool {
        let may_ride = || self.has_answer || is_connected(&self.target.upstream);
        !self.losses.is_empty() && (last_chance || self.wait(now).is_zero() && may_ride())
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
        self.lose_items(ReportTarget::of(envelope), items, reason.report());
    }

    /// Records that items are lost that were meant for a project.
    pub(super) fn lose_items<'a>(
        &mut self,
        target: ReportTarget,
        items: impl IntoIterator<Item = &'a Item>,
        reason: &'static str,
    ) {
        let Some(project) = self.project(target) else { return };
        for (category, quantity) in items.into_iter().flat_map(Item::quantities) {
            project.losses.add(reason, category, quantity);
        }
    }

    /// Records that upstream has answered an envelope of this project, so that a report may follow. An upstream that
    /// answers 429 is alive too.
    pub(super) fn answered(&mut self, envelope: &Envelope) {
        let target = ReportTarget::of(envelope);
        if let Some(project) = self.0.iter_mut().find(|project| project.target == target) {
            project.has_answer = true;
        }
    }

    /// Takes out the next report that may be sent to an upstream for which `is_healthy` returns true. `is_connected`
    /// says whether there is an idle connection to it. At SHUTDOWN (`last_chance`) neither interval nor connection is
    /// required.
    pub(super) fn take(
        &mut self,
        now: SystemTime,
        last_chance: bool,
        is_healthy: impl Fn(&Arc<Upstream>) -> bool,
        is_connected: impl Fn(&Arc<Upstream>) -> bool,
    ) -> Option<ClientReport> {
        let is_ready = |project: &&mut ProjectLosses| {
            project.is_due(now, last_chance, &is_connected) && is_healthy(&project.target.upstream)
        };
        let project = self.0.iter_mut().find(is_ready)?;
        project.has_answer = false;
        project.last_report = Some(now);
        Some(ClientReport { target: project.target.clone(), losses: std::mem::take(&mut project.losses) })
    }

    /// Returns the time until the next report may be sent whose interval is not over.
    pub(super) fn wait(&self, now: SystemTime) -> Option<Duration> {
        let with_losses = self.0.iter().filter(|project| !project.losses.is_empty());
        with_losses.map(|project| project.wait(now)).filter(|wait| !wait.is_zero()).min()
    }

    /// Whether there are losses to report to an upstream for which `is_healthy` returns true.
    pub(super) fn any(&self, is_healthy: impl Fn(&Arc<Upstream>) -> bool) -> bool {
        self.0.iter().any(|project| !project.losses.is_empty() && is_healthy(&project.target.upstream))
    }

    /// Keeps the losses of a report that did not arrive.
    pub(super) fn give_back(&mut self, report: ClientReport) {
        let Some(project) = self.project(report.target) else { return };
        for (reason, category, quantity) in report.losses.iter() {
            project.losses.add(reason, category, quantity);
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
                losses: Losses::default(),
                has_answer: false,
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
            .map(|(reason, category, quantity)| {
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
        assert!(
            client_reports.take(now(), false, |_| true, |_| false).is_none(),
            "nothing was delivered yet"
        );
        client_reports.answered(&lost);
        let report = text(&client_reports.take(now(), false, |_| true, |_| false).unwrap());
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
        client_reports.answered(&lost);
        let first = client_reports.take(now(), false, |_| true, |_| false).unwrap();
        client_reports.give_back(first);
        client_reports.answered(&lost);
        assert!(client_reports.take(now() + Duration::from_secs(1), false, |_| true, |_| false).is_none());
        assert!(client_reports.take(now() + INTERVAL, false, |_| true, |_| false).is_some());
        assert!(
            client_reports.take(now() + INTERVAL, true, |_| true, |_| false).is_none(),
            "the report was already taken"
        );
        client_reports.lose(&lost, &lost.items, DropReason::Network);
        assert!(client_reports.take(now() + INTERVAL, true, |_| true, |_| false).is_some());
    }

    #[test]
    fn losses_are_reported_over_an_idle_connection_without_an_answer() {
        let mut client_reports = ClientReports::default();
        let lost = sample(ItemKind::Event, 9);
        let mut report = |at| {
            client_reports.lose(&lost, &lost.items, DropReason::RateLimit);
            let unconnected = client_reports.take(at, false, |_| true, |_| false).is_some();
            (
                unconnected,
                client_reports.take(at, false, |_| true, |_| true).is_some(),
                client_reports.wait(at),
            )
        };
        assert_eq!(report(now()), (false, true, None));
        let second = Duration::from_secs(1);
        assert_eq!(report(now() + second), (false, false, Some(INTERVAL.saturating_sub(second))));
        assert_eq!(report(now() + INTERVAL), (false, true, None));
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
        let reported = std::iter::from_fn(|| client_reports.take(now(), true, |_| true, |_| false)).count();
        assert_eq!(reported, MAX_PROJECTS, "the number of projects is bounded");
        lose(&mut client_reports, MAX_PROJECTS + 1);
        assert!(client_reports.take(now(), true, |_| true, |_| false).is_some());
    }

    #[test]
    fn item_without_a_category_is_not_reported() {
        let mut client_reports = ClientReports::default();
        let lost = sample(ItemKind::Other, 9);
        client_reports.lose(&lost, &lost.items, DropReason::Network);
        assert!(client_reports.take(now(), true, |_| true, |_| false).is_none());
    }
}
