//! What the relay and the supervisor of Sentry's Relay share. If the layer contains that program, each envelope passes
//! it before it is queued for upstream.

use super::core::Core;
use super::envelope::Envelope;
pub(crate) use super::state::CustodyNumber;
use super::state::State;
use crate::config::Upstream;
use crate::protocol::Item;
use bytes::Bytes;
use hyper::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderName, HeaderValue};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Instant, SystemTime};
use tokio::sync::watch;
use tokio::time::Instant as Deadline;

/// The stages of running Sentry's Relay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// It is not started yet, because the function may still initialise and there is no envelope.
    Waiting,
    /// It is started, and started again if it fails.
    Begun,
    /// It has to be killed at once, and is not started again.
    GivenUp,
    /// It has to end before this time.
    Ending(Deadline),
    /// It does not run any more, or was never wanted.
    Ended,
}

/// Tells the supervisor of Sentry's Relay what to do, and the relay how that program does.
///
/// The sender of the channel lives as long as the process, so a wait on it cannot fail.
#[derive(Debug)]
pub(crate) struct FilterControl {
    stage: watch::Sender<Stage>,
    /// Whether envelopes may leave only through Sentry's Relay.
    is_required: bool,
    /// Whether Sentry's Relay waits for project configs, without which it cannot filter.
    awaits_config: AtomicBool,
    /// How often a request for project configs has begun or ended.
    config_changes: AtomicU64,
}

impl FilterControl {
    pub(super) fn new(is_wanted: bool, is_required: bool) -> Self {
        let stage = if is_wanted { Stage::Waiting } else { Stage::Ended };
        Self {
            stage: watch::Sender::new(stage),
            is_required,
            awaits_config: AtomicBool::new(false),
            config_changes: AtomicU64::new(0),
        }
    }

    pub(crate) fn is_required(&self) -> bool {
        self.is_required
    }

    /// Allows the start of Sentry's Relay.
    pub(super) fn begin(&self) {
        self.change_stage(|stage| (stage == Stage::Waiting).then_some(Stage::Begun));
    }

    /// Has Sentry's Relay killed at once. What it holds is then queued as it is, where the settings allow that.
    pub(super) fn give_up(&self) {
        let runs = |stage| matches!(stage, Stage::Waiting | Stage::Begun);
        self.change_stage(|stage| runs(stage).then_some(Stage::GivenUp));
    }

    /// Tells Sentry's Relay to end before `deadline`, unless it was already told to end.
    pub(super) fn end_by(&self, deadline: Deadline) {
        let runs = |stage| matches!(stage, Stage::Waiting | Stage::Begun);
        self.change_stage(|stage| runs(stage).then_some(Stage::Ending(deadline)));
    }

    fn set_ended(&self) {
        self.stage.send_replace(Stage::Ended);
    }

    fn change_stage(&self, next: impl Fn(Stage) -> Option<Stage>) {
        self.stage.send_if_modified(|stage| {
            let next = next(*stage);
            *stage = next.unwrap_or(*stage);
            next.is_some()
        });
    }

    pub(crate) fn stage(&self) -> Stage {
        *self.stage.borrow()
    }

    /// Waits until `holds` returns true for the stage.
    pub(crate) async fn wait_for_stage(&self, holds: impl FnMut(&Stage) -> bool) {
        let _ = self.stage.subscribe().wait_for(holds).await;
    }

    pub(crate) fn awaits_config(&self) -> bool {
        self.awaits_config.load(Ordering::Relaxed)
    }

    pub(crate) fn config_changes(&self) -> u64 {
        self.config_changes.load(Ordering::Relaxed)
    }
}

/// The methods that Sentry's Relay's supervisor, custody and door call.
impl Core {
    /// Records that Sentry's Relay is ready: from now on envelopes are given to it.
    pub(crate) fn filter_is_ready(&self) {
        self.set_awaits_config(false);
        self.change_filter(State::filter_is_ready);
    }

    /// Records that Sentry's Relay has ended. Returns how many envelopes wait for its next start, because it had not
    /// handed them back.
    pub(crate) fn filter_has_failed(&self) -> usize {
        self.change_filter(State::filter_has_failed)
    }

    /// Records that Sentry's Relay has failed for good. Its envelopes are queued as they are, where the settings allow
    /// that. Otherwise they wait until the end.
    pub(crate) fn stop_filtering(&self) {
        let (is_required, clock, now) = (self.filter().is_required, Instant::now(), SystemTime::now());
        self.change_filter(|state| state.stop_filtering(is_required, clock, now));
        self.sentry_relay_ended();
    }

    /// Records that Sentry's Relay does not run any more.
    pub(crate) fn sentry_relay_ended(&self) {
        self.filter().set_ended();
        self.announce_change();
    }

    /// Records whether Sentry's Relay waits for project configs. While it does, `/next` is not held for it.
    pub(crate) fn set_awaits_config(&self, awaits: bool) {
        self.filter().config_changes.fetch_add(1, Ordering::Relaxed);
        if self.filter().awaits_config.swap(awaits, Ordering::Relaxed) != awaits {
            self.change_filter(|state| state.set_filter_stuck(awaits));
        }
    }

    /// Whether an envelope waits that may be given to Sentry's Relay now.
    pub(crate) fn has_unfiltered(&self) -> bool {
        self.state().has_unfiltered()
    }

    /// Takes the next envelope into custody, to be given to Sentry's Relay.
    pub(crate) fn take_unfiltered(&self) -> Option<(CustodyNumber, Arc<Envelope>)> {
        self.state().take_unfiltered()
    }

    pub(crate) fn is_in_custody(&self, number: CustodyNumber) -> bool {
        self.state().custody(Some(number)).is_some_and(|(found, _)| found == number)
    }

    /// Returns the envelope in custody with this number. Without a number, it is the only one that cannot carry one.
    pub(crate) fn custody(&self, number: Option<u64>) -> Option<(CustodyNumber, Arc<Envelope>)> {
        self.state().custody(number.map(CustodyNumber::from))
    }

    /// Queues an envelope that Sentry's Relay has handed back, in place of the one in custody. `None` stands for an
    /// envelope that has none there, such as a second part of it.
    pub(crate) fn hand_back(&self, number: Option<CustodyNumber>, envelope: Envelope) {
        self.change_filter(|state| state.hand_back(number, envelope, Instant::now(), SystemTime::now()));
    }

    /// Counts an envelope as dropped by the rules of Sentry's Relay.
    pub(crate) fn book_filtered(&self, number: CustodyNumber) {
        self.change_filter(|state| state.book_filtered(number));
    }

    /// Ends the custody of an envelope that Sentry's Relay refuses. It is queued as it is, where the settings allow
    /// that, and otherwise dropped.
    pub(crate) fn refused_by_filter(&self, number: CustodyNumber) {
        let is_required = self.filter().is_required;
        self.change_filter(|state| state.refused(number, is_required, Instant::now(), SystemTime::now()));
    }

    /// Changes the state, and lets the pump and all waiting tasks look at it again.
    fn change_filter<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let result = change(&mut self.state());
        self.wake_pump();
        self.announce_change();
        result
    }
}

impl Envelope {
    /// Whether Sentry's Relay keeps a field that is added to the header of this request's body.
    pub(crate) fn is_taggable(&self) -> bool {
        self.path.ends_with("/envelope/")
    }

    /// Makes the envelope that Sentry's Relay has handed back for `self`. It leaves with the headers of the SDK.
    /// `headers` are further ones.
    pub(crate) fn filtered(
        &self,
        body: impl Into<Bytes>,
        items: Box<[Item]>,
        path: &str,
        headers: impl IntoIterator<Item = (HeaderName, HeaderValue)>,
    ) -> Self {
        let mut filtered = self.decoded(body);
        let mut all = filtered.headers.into_vec();
        if !self.is_taggable() {
            all.retain(|(name, _)| *name != CONTENT_TYPE);
            all.push((CONTENT_TYPE, HeaderValue::from_static("application/x-sentry-envelope")));
            path.clone_into(&mut filtered.path);
        }
        all.extend(headers);
        debug_assert!(!all.iter().any(|(name, _)| *name == CONTENT_ENCODING));
        Self { headers: all.into(), items, ..filtered }
    }

    /// Makes an envelope that Sentry's Relay sends beside those that it was given.
    pub(crate) fn of_sentry_relay(
        upstream: Arc<Upstream>,
        path: &str,
        auth: &str,
        items: Box<[Item]>,
        body: impl Into<Bytes>,
        headers: Box<[(HeaderName, HeaderValue)]>,
    ) -> Option<Self> {
        let key = auth.split([' ', ',']).find_map(|part| part.strip_prefix("sentry_key="))?;
        let project = path.split('/').nth(2)?;
        Some(Self {
            upstream,
            path: path.to_owned(),
            key: crate::config::PublicKey::parse(key)?,
            project: crate::config::ProjectId::parse(project)?,
            headers,
            encoding: crate::protocol::Encoding::Identity,
            items,
            body: body.into(),
        })
    }
}
