//! Attacks what the relay reads of upstream's responses.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    missing_docs
)]

pub use super::client::fuzzing::upstream_answer;

use super::{RateLimits, Relay};
use crate::config::PublicKey;
use crate::protocol::{Item, ItemKind};
use hyper::header::HeaderValue;
use std::time::{Duration, SystemTime};

/// Whether every envelope that the relay has accepted is counted once.
pub(crate) fn counts_balance(relay: &Relay) -> bool {
    let state = relay.core.state();
    state.ledger().balances(state.pending())
}

/// The limits of a header are bounded in number and time, can be passed on in a header, and mean the same there. The
/// first byte says how far the clock goes on, or back.
pub fn rate_limits(data: &[u8]) {
    let [clock, header @ ..] = data else { return };
    let header = String::from_utf8_lossy(header);
    let key = PublicKey::parse("a94ae32be2584e0bbd7a4cbb95971fee").unwrap();
    let set = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
    let mut limits = RateLimits::default();
    limits.update(&key, &header, set);
    let items: Vec<Item> =
        [ItemKind::Event, ItemKind::Attachment, ItemKind::Transaction, ItemKind::Profile, ItemKind::Log]
            .map(|kind| Item { kind, count: 1, bytes: 1 })
            .into();
    let check = limits.check(&key, &items, set);
    assert!(check.retry_after <= 24 * 3600);
    assert_eq!(check.keep.len(), items.len());
    assert!(limits.check(&key, &items, set + Duration::from_hours(24)).keeps_all(), "a limit lasts too long");
    assert!(
        limits.check(&key, &items, set - Duration::from_secs(1)).keeps_all(),
        "it holds before it was set"
    );
    let later = set + Duration::from_secs(u64::from(*clock) * 400);
    if let Some(passed_on) = limits.header(&key, later) {
        assert!(HeaderValue::try_from(&passed_on).is_ok());
        assert!(passed_on.split(", ").count() <= 64);
        let mut of_sdk = RateLimits::default();
        of_sdk.update(&key, &passed_on, later);
        assert_eq!(
            of_sdk.check(&key, &items, later).keep,
            limits.check(&key, &items, later).keep,
            "{passed_on}"
        );
    }
}
