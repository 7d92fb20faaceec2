//! Client reports: what was lost here is told to Sentry, so that its statistics show it.
//!
//! They go out right behind a delivery, over the connection it used, and as the last thing at SHUTDOWN:
//! never as a reason of their own to open a connection or to hold an invocation.

use super::envelope::Envelope;
use super::ledger::DropReason;
use crate::config::{ProjectId, PublicKey, Upstream};
use crate::protocol::{Category, Item, ItemKind};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// Between two reports to the same project.
const INTERVAL: Duration = Duration::from_secs(30);
/// Projects with losses at a time; those beyond are not reported, and still in the log.
const MOST: usize = 16;

/// Who lost something.
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

/// Losses by reason and category.
type Losses = BTreeMap<(&'static str, Category), u64>;

#[derive(Debug)]
struct Account {
    target: ReportTarget,
    losses: Losses,
    /// A delivery to this project succeeded after the last report.
    ripe: bool,
    last: Option<SystemTime>,
}

impl Account {
    fn is_due(&self, now: SystemTime, last_chance: bool) -> bool {
        // After a jump back nothing is known of the interval.
        let is_rested = |last| now.duration_since(last).map_or(true, |passed| passed >= INTERVAL);
        !self.losses.is_empty() && (last_chance || self.ripe && self.last.is_none_or(is_rested))
    }
}

/// A report on its way; if it does not arrive, it is given back.
#[derive(Debug)]
pub(super) struct ClientReport {
    target: ReportTarget,
    losses: Losses,
}

/// What was lost and not reported yet.
#[derive(Debug, Default)]
pub(super) struct ClientReports(Vec<Account>);

impl ClientReports {
    /// Items of an envelope are lost.
    pub(super) fn lose<'a>(
        &mut self,
        envelope: &Envelope,
        items: impl IntoIterator<Item = &'a Item>,
        reason: DropReason,
    ) {
        let Some(account) = self.account(ReportTarget::of(envelope)) else { return };
        for (category, quantity) in items.into_iter().flat_map(Item::quantities) {
            *account.losses.entry((reason.report(), category)).or_default() += quantity;
        }
    }

    /// Upstream took an envelope of this sender.
    pub(super) fn delivered(&mut self, envelope: &Envelope) {
        let target = ReportTarget::of(envelope);
        if let Some(account) = self.0.iter_mut().find(|account| account.target == target) {
            account.ripe = true;
        }
    }

    /// The next report that may go, to an upstream that is `well`. At SHUTDOWN (`last_chance`) all may.
    pub(super) fn take(
        &mut self,
        now: SystemTime,
        last_chance: bool,
        well: impl Fn(&Arc<Upstream>) -> bool,
    ) -> Option<ClientReport> {
        let is_due =
            |account: &&mut Account| account.is_due(now, last_chance) && well(&account.target.upstream);
        let account = self.0.iter_mut().find(is_due)?;
        account.ripe = false;
        account.last = Some(now);
        Some(ClientReport { target: account.target.clone(), losses: std::mem::take(&mut account.losses) })
    }

    /// Whether there is anything to report to an upstream that is `well`.
    pub(super) fn any(&self, well: impl Fn(&Arc<Upstream>) -> bool) -> bool {
        self.0.iter().any(|account| !account.losses.is_empty() && well(&account.target.upstream))
    }

    /// A report did not arrive.
    pub(super) fn give_back(&mut self, report: ClientReport) {
        let Some(account) = self.account(report.target) else { return };
        for (what, quantity) in report.losses {
            *account.losses.entry(what).or_default() += quantity;
        }
    }

    fn account(&mut self, target: ReportTarget) -> Option<&mut Account> {
        let known = self.0.iter().position(|account| account.target == target);
        if known.is_none() && self.0.len() >= MOST {
            // All of its losses were told; only when, will not be known any more.
            let settled = self.0.iter().position(|account| account.losses.is_empty())?;
            self.0.remove(settled);
        }
        let at = known.unwrap_or_else(|| {
            self.0.push(Account { target, losses: Losses::new(), ripe: false, last: None });
            self.0.len() - 1
        });
        self.0.get_mut(at)
    }
}

impl ClientReport {
    /// The envelope that tells it.
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
    fn losses_add_up_and_go_behind_a_delivery() {
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
    fn not_too_often_but_always_at_the_end() {
        let mut client_reports = ClientReports::default();
        let lost = sample(ItemKind::Event, 9);
        client_reports.lose(&lost, &lost.items, DropReason::Network);
        client_reports.delivered(&lost);
        let first = client_reports.take(now(), false, |_| true).unwrap();
        client_reports.give_back(first);
        client_reports.delivered(&lost);
        assert!(client_reports.take(now() + Duration::from_secs(1), false, |_| true).is_none());
        assert!(client_reports.take(now() + INTERVAL, false, |_| true).is_some());
        assert!(client_reports.take(now() + INTERVAL, true, |_| true).is_none(), "it was taken");
        client_reports.lose(&lost, &lost.items, DropReason::Network);
        assert!(client_reports.take(now() + INTERVAL, true, |_| true).is_some());
    }

    #[test]
    fn projects_whose_losses_were_told_make_room() {
        let mut client_reports = ClientReports::default();
        let of = |project: usize| Envelope {
            project: ProjectId::parse(&project.to_string()).unwrap(),
            ..sample(ItemKind::Event, 9)
        };
        let lose = |client_reports: &mut ClientReports, project| {
            let lost = of(project);
            client_reports.lose(&lost, &lost.items, DropReason::Network);
        };
        for project in 1..=MOST + 1 {
            lose(&mut client_reports, project);
        }
        let told = std::iter::from_fn(|| client_reports.take(now(), true, |_| true)).count();
        assert_eq!(told, MOST, "their number is bounded");
        lose(&mut client_reports, MOST + 1);
        assert!(client_reports.take(now(), true, |_| true).is_some());
    }

    #[test]
    fn what_has_no_category_is_not_reported() {
        let mut client_reports = ClientReports::default();
        let lost = sample(ItemKind::Other, 9);
        client_reports.lose(&lost, &lost.items, DropReason::Network);
        assert!(client_reports.take(now(), true, |_| true).is_none());
    }
}
