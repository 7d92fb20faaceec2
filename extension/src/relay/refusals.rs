//! Remembers which kinds of refusal upstream has answered, so that each kind is logged once and not for each envelope.
//! A kind is an upstream with a status and the reason that it gave.

use crate::config::Upstream;
use std::sync::Arc;

/// The most kinds that are logged. Otherwise a server that gives another reason each time would fill the log.
const MAX_KINDS: usize = 32;

#[derive(Debug, PartialEq, Eq)]
struct Kind {
    upstream: Arc<Upstream>,
    status: u16,
    reason: Option<String>,
}

/// The kinds of refusal that were logged.
#[derive(Debug, Default)]
pub(super) struct Refusals(Vec<Kind>);

impl Refusals {
    /// Records a refusal. Returns whether its kind is new and has to be logged.
    pub(super) fn is_new(&mut self, upstream: &Arc<Upstream>, status: u16, reason: Option<&str>) -> bool {
        let is_known = |kind: &Kind| {
            kind.status == status && kind.reason.as_deref() == reason && kind.upstream == *upstream
        };
        if self.0.len() >= MAX_KINDS || self.0.iter().any(is_known) {
            return false;
        }
        let (upstream, reason) = (Arc::clone(upstream), reason.map(str::to_owned));
        self.0.push(Kind { upstream, status, reason });
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
}
