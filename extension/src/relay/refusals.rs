//! Remembers which kinds of refusal there were, Sentry's and our own, so that each kind is logged once and not for each
//! envelope or request. A kind of Sentry's is an upstream with a status and the reason that it gave. A kind of our own
//! is a reason with a status and, where a host is the reason, that host.

use super::refusal_reason::RefusalReason;
use crate::config::Upstream;
use std::sync::Arc;

/// The most kinds of upstream's, and the most hosts of our own, that are logged. Otherwise a server that gives another
/// reason each time would fill the log, and so would a client that names another host each time.
const MAX_KINDS: usize = 32;

#[derive(Debug, PartialEq, Eq)]
struct UpstreamKind {
    upstream: Arc<Upstream>,
    status: u16,
    reason: Option<String>,
}

#[derive(Debug, PartialEq, Eq)]
struct OwnKind {
    reason: RefusalReason,
    status: u16,
    host: Box<str>,
}

/// The kinds of refusal that were logged.
#[derive(Debug, Default)]
pub(super) struct Refusals {
    upstream: Vec<UpstreamKind>,
    own: Vec<OwnKind>,
}

impl Refusals {
    /// Records a refusal of upstream. Returns whether its kind is new and has to be logged.
    pub(super) fn is_new(&mut self, upstream: &Arc<Upstream>, status: u16, reason: Option<&str>) -> bool {
        // An envelope that came back was refused by this extension, which has logged that.
        if status == 508 && self.own.iter().any(|kind| kind.reason == RefusalReason::Loop) {
            return false;
        }
        let is_known = |kind: &UpstreamKind| {
            kind.status == status && kind.reason.as_deref() == reason && kind.upstream == *upstream
        };
        if self.upstream.len() >= MAX_KINDS || self.upstream.iter().any(is_known) {
            return false;
        }
        let (upstream, reason) = (Arc::clone(upstream), reason.map(str::to_owned));
        self.upstream.push(UpstreamKind { upstream, status, reason });
        true
    }

    /// Records that the gateway has refused a request. Returns whether its kind is new and has to be logged.
    pub(super) fn is_new_own(&mut self, reason: RefusalReason, status: u16, host: &str) -> bool {
        let is_known = |kind: &OwnKind| kind.reason == reason && kind.status == status && *kind.host == *host;
        // There are few reasons without a host. Hosts without end must not keep them from being logged.
        let hosts = self.own.iter().filter(|kind| !kind.host.is_empty()).count();
        if !host.is_empty() && hosts >= MAX_KINDS || self.own.iter().any(is_known) {
            return false;
        }
        self.own.push(OwnKind { reason, status, host: host.into() });
        true
    }
}

/// What the user can do about a refusal with this status.
pub(super) fn remedy(status: u16) -> &'static str {
    match status {
        300..=399 => "check the scheme and the host of the DSN: envelopes do not follow redirects",
        401 | 403 => "check the key and the project of the DSN, and whether the project accepts data",
        404 => "check the host and the project of the DSN",
        413 => "send smaller attachments",
        508 => "the upstream is an extension that sends to itself: name Sentry's host in its settings",
        429 => "check the quotas and the rate limits of the project",
        _ => "see Sentry's answer",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_is_new_once_and_their_number_is_bounded() {
        let [one, other] =
            [1, 2].map(|port| Arc::new(Upstream::parse(&format!("http://127.0.0.1:{port}")).unwrap()));
        let mut refusals = Refusals::default();
        assert!(refusals.is_new(&one, 403, Some("why")));
        assert!(!refusals.is_new(&one, 403, Some("why")));
        for (upstream, status, reason) in
            [(&one, 403, None), (&one, 401, Some("why")), (&other, 403, Some("why"))]
        {
            assert!(refusals.is_new(upstream, status, reason), "{status} {reason:?}");
        }
        let new = (0..1000).filter(|n| refusals.is_new(&one, 400, Some(&n.to_string()))).count();
        assert_eq!(new, MAX_KINDS - 4);
    }

    #[test]
    fn own_kinds_are_new_once_and_take_no_room_from_those_of_upstream() {
        let mut refusals = Refusals::default();
        let one = Arc::new(Upstream::parse("http://127.0.0.1:1").unwrap());
        assert!(refusals.is_new(&one, 508, None), "another server may answer this, too");
        assert!(refusals.is_new_own(RefusalReason::Loop, 508, "127.1"));
        assert!(!refusals.is_new_own(RefusalReason::Loop, 508, "127.1"));
        assert!(!refusals.is_new(&one, 508, Some("another")), "the loop was logged");
        assert!(refusals.is_new_own(RefusalReason::Invalid, 400, ""));
        assert!(refusals.is_new_own(RefusalReason::Invalid, 422, ""));
        let hosts = (0..1000).map(|n| format!("{n}.example"));
        let new = hosts.filter(|host| refusals.is_new_own(RefusalReason::HostNotAllowed, 403, host)).count();
        assert_eq!(new, MAX_KINDS - 1);
        assert!(refusals.is_new_own(RefusalReason::TooLarge, 413, ""), "hosts have taken its room");
        assert!(refusals.is_new(&one, 403, None));
    }
}
