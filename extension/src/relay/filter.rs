//! The way of envelopes through Sentry's Relay, for its supervisor, custody and door.

use super::clock;
use super::core::Core;
use super::envelope::Envelope;
pub(crate) use super::state::CustodyNumber;
use super::state::State;
use crate::config::{ProjectId, PublicKey, Upstream};
use crate::protocol::{Encoding, Item};
use bytes::Bytes;
use hyper::header::{HeaderName, HeaderValue};
use std::sync::Arc;
use std::time::{Instant, SystemTime};

impl Core {
    /// Records that Sentry's Relay is ready: from now on envelopes are given to it.
    pub(crate) fn filter_is_ready(&self) {
        self.set_awaits_config(false);
        self.change_filter(State::filter_is_ready);
    }

    /// Records that Sentry's Relay has ended. Returns how many envelopes wait for its next start, because it had not
    /// handed them back, and how many were dropped, because it had them at too many failures.
    pub(crate) fn filter_has_failed(&self) -> (usize, usize) {
        let is_required = self.filter().is_required();
        self.change_filter(|state| state.filter_has_failed(is_required))
    }

    /// Records that Sentry's Relay has failed for good. Its envelopes are queued as they are, where the settings allow
    /// that. Otherwise they wait until the end.
    pub(crate) fn stop_filtering(&self) {
        let (is_required, clock, now) = (self.filter().is_required(), Instant::now(), SystemTime::now());
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
        if self.filter().set_awaits_config(awaits) {
            self.change_filter(|state| state.set_filter_stuck(awaits));
        }
    }

    /// Whether SHUTDOWN has come.
    pub(crate) fn is_draining(&self) -> bool {
        self.state().draining()
    }

    /// Whether an envelope waits that may be given to Sentry's Relay now.
    pub(crate) fn has_unfiltered(&self) -> bool {
        self.state().has_unfiltered()
    }

    /// Takes the next envelope into custody, to be given to Sentry's Relay.
    pub(crate) fn take_unfiltered(&self) -> Option<(CustodyNumber, Arc<Envelope>)> {
        self.state().take_unfiltered(clock::now())
    }

    pub(crate) fn is_in_custody(&self, number: CustodyNumber) -> bool {
        self.state().custody(Some(number)).is_some_and(|(found, _)| found == number)
    }

    /// Records that Sentry's Relay may have dropped an envelope, so that `/next` is not held for it.
    pub(crate) fn set_late(&self, number: CustodyNumber) {
        self.change_filter(|state| state.set_late(number));
    }

    /// Returns the envelope in custody with this number. Without a number, it is the only one that cannot carry one.
    pub(crate) fn custody(&self, number: Option<u64>) -> Option<(CustodyNumber, Arc<Envelope>)> {
        self.state().custody(number.map(CustodyNumber::from))
    }

    /// Returns the upstream of the envelope that had this number in custody, or of the latest that has left it.
    pub(crate) fn upstream_of(&self, number: Option<u64>) -> Option<Arc<Upstream>> {
        self.state().upstream_of(number)
    }

    /// Queues an envelope that Sentry's Relay has handed back, in place of the one in custody. `None` stands for an
    /// envelope that has none there, such as a second part of it.
    /// `is_dated` says whether its `sent_at` is of now.
    pub(crate) fn hand_back(&self, number: Option<CustodyNumber>, envelope: Envelope, is_dated: bool) {
        self.change_filter(|state| {
            state.hand_back(number, envelope, is_dated, Instant::now(), clock::now());
        });
    }

    /// Counts an envelope as dropped by the rules of Sentry's Relay.
    pub(crate) fn book_filtered(&self, number: CustodyNumber) {
        self.change_filter(|state| state.book_filtered(number));
    }

    /// Ends the custody of an envelope that Sentry's Relay refuses with this status. It is queued as it is, where the
    /// settings allow that, and otherwise dropped. Returns whether the status is new and has to be logged.
    pub(crate) fn refused_by_filter(&self, number: CustodyNumber, status: u16) -> bool {
        let is_required = self.filter().is_required();
        self.change_filter(|state| {
            state.refused(number, is_required, Instant::now(), SystemTime::now());
            state.is_new_filter_status(status)
        })
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

    /// Makes the envelope that Sentry's Relay has handed back for `self`. It leaves with the headers of the SDK, and
    /// with `headers` in place of those of the same name.
    pub(crate) fn filtered(
        &self,
        body: impl Into<Bytes>,
        items: Box<[Item]>,
        path: &str,
        mut headers: Vec<(HeaderName, HeaderValue)>,
    ) -> Self {
        let decoded = self.decoded(body);
        let new = headers.len();
        for (name, value) in decoded.headers.iter() {
            if headers.iter().take(new).all(|(other, _)| *other != name) {
                headers.push((name, value));
            }
        }
        Self { path: path.to_owned(), headers: headers.into(), items, ..decoded }
    }

    /// Makes an envelope that Sentry's Relay sends beside those that it was given.
    pub(crate) fn of_sentry_relay(
        upstream: Arc<Upstream>,
        path: &str,
        auth: &str,
        items: Box<[Item]>,
        body: impl Into<Bytes>,
        headers: Vec<(HeaderName, HeaderValue)>,
    ) -> Option<Self> {
        let key = auth.split([' ', ',']).find_map(|part| part.strip_prefix("sentry_key="))?;
        let project = path.split('/').nth(2)?;
        Some(Self {
            upstream,
            path: path.to_owned(),
            key: PublicKey::parse(key)?,
            project: ProjectId::parse(project)?,
            headers: headers.into(),
            encoding: Encoding::Identity,
            items,
            body: body.into(),
            is_background: false,
        })
    }
}
