//! Upstream's rate limits, by key and category. They decide which items are removed from an envelope, and they are
//! passed on to SDKs.
//!
//! The header looks like `X-Sentry-Rate-Limits: 60:error;transaction:key:reason, 2700::organization`. No category
//! means all categories. A limit expires by the wall clock, because that goes on while the environment is frozen. The
//! wall clock may also jump back: a limit ends if the clock shows a time before it was set.

use crate::config::PublicKey;
use crate::protocol::{Category, Item, ItemKind, decimal};
use std::fmt::Write as _;
use std::time::{Duration, SystemTime};

/// The most limits that are kept at a time. Upstream has no reason to set more. Beyond this number the oldest is
/// removed.
const MAX_LIMITS: usize = 64;
/// The longest time that a limit lasts, even if upstream asks for more.
const LONGEST: Duration = Duration::from_hours(24);
/// How long a limit lasts if upstream answers 429 without a time. Sentry's SDKs assume the same.
const DEFAULT_LENGTH: Duration = Duration::from_mins(1);

/// The longest text of a limit that SDKs get, in bytes. The names of all categories have 600.
const MAX_TEXT: usize = 2048;
/// The longest name of a category that SDKs get, in bytes.
const MAX_NAME: usize = 64;
/// The longest header that SDKs get, in bytes. Some refuse a response with more than 16 KiB of headers.
const MAX_HEADER: usize = 8 * 1024;

/// Returns the text of a limit as SDKs get it: reduced to ASCII, and bounded. What is left out is left out as a whole, so
/// that no name is cut and no limit gets wider. An empty text is left out itself.
fn for_sdks(text: &str) -> String {
    let text: String = text.chars().filter(char::is_ascii_graphic).collect();
    if text.len() <= MAX_TEXT {
        return text;
    }
    let mut fields = text.split(':');
    let mut field = || fields.next().unwrap_or_default();
    // The reason is for people, and SDKs do not read it.
    let (names, scope, _reason, namespaces) = (field(), field(), field(), field());
    let room = (MAX_TEXT / 2).checked_sub(scope.len() + namespaces.len());
    let Some(mut room) = room else { return String::new() };
    let mut kept = Vec::new();
    for name in names.split(';').filter(|name| name.len() <= MAX_NAME) {
        let Some(left) = room.checked_sub(name.len() + 1) else { break };
        room = left;
        kept.push(name);
    }
    match (names.is_empty(), kept.join(";")) {
        // Without a name the limit would be one on everything.
        (false, names) if names.is_empty() => String::new(),
        (_, names) if namespaces.is_empty() => format!("{names}:{scope}"),
        (_, names) => format!("{names}:{scope}::{namespaces}"),
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct RateLimit {
    key: PublicKey,
    /// The limited categories. An empty list means all.
    categories: Vec<Category>,
    /// The limit without its seconds, as upstream wrote it, for SDKs: `error;transaction:key:reason`.
    text: String,
    set: SystemTime,
    until: SystemTime,
}

impl RateLimit {
    fn holds(&self, now: SystemTime) -> bool {
        self.set <= now && now < self.until
    }

    fn covers(&self, item: &Item) -> bool {
        // An item without a category passes every limit. Client reports are such items.
        let any = item.quantities().next().is_some();
        any && (self.categories.is_empty() || self.categories.iter().any(|c| item.is_limited_by(*c)))
    }

    /// Returns whole seconds, rounded up, because an SDK that comes back too early is refused again.
    fn seconds_left(&self, now: SystemTime) -> u64 {
        let left = self.until.duration_since(now).unwrap_or_default();
        left.as_secs() + u64::from(left.subsec_nanos() > 0)
    }
}

/// The result of checking an envelope's items against the limits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RateLimitCheck {
    /// For each item, whether it may be sent.
    pub keep: Vec<bool>,
    /// The seconds until all limits that removed an item have ended. It is 0 if no item was removed.
    pub retry_after: u64,
}

impl RateLimitCheck {
    /// Whether no item was removed.
    pub fn keeps_all(&self) -> bool {
        self.keep.iter().all(|keep| *keep)
    }

    /// Whether all items were removed.
    pub fn keeps_none(&self) -> bool {
        !self.keep.iter().any(|keep| *keep)
    }
}

/// The limits that upstream has announced and that may still be in force.
#[derive(Debug, Default)]
pub struct RateLimits(Vec<RateLimit>);

impl RateLimits {
    /// Adds the limits of an `X-Sentry-Rate-Limits` header for a key. Malformed parts are ignored.
    pub fn update(&mut self, key: &PublicKey, header: &str, now: SystemTime) {
        for limit in header.split(',') {
            let mut fields = limit.trim().splitn(2, ':');
            let seconds = fields.next().and_then(|s| decimal::parse(s.trim()));
            let (Some(seconds), Some(rest)) = (seconds, fields.next()) else { continue };
            let names = rest.split(':').next().unwrap_or_default();
            let names = || names.split(';').map(str::trim).filter(|name| !name.is_empty());
            let mut categories: Vec<Category> = Vec::new();
            for category in names().filter_map(Category::parse) {
                // There are few different ones, so their number bounds the list.
                if !categories.contains(&category) {
                    categories.push(category);
                }
            }
            // None of its categories is known here, so no item can be limited by it.
            if categories.is_empty() && names().next().is_some() {
                continue;
            }
            let Ok(lasts) = Duration::try_from_secs_f64(seconds) else { continue };
            self.set(key, categories, rest, lasts, now);
        }
    }

    /// Adds the limit of a 429 without `X-Sentry-Rate-Limits`, which limits everything of the key.
    pub fn update_all(&mut self, key: &PublicKey, retry_after: Option<Duration>, now: SystemTime) {
        self.set(key, Vec::new(), ":key", retry_after.unwrap_or(DEFAULT_LENGTH), now);
    }

    fn set(
        &mut self,
        key: &PublicKey,
        categories: Vec<Category>,
        text: &str,
        lasts: Duration,
        now: SystemTime,
    ) {
        let Some(until) = now.checked_add(lasts.min(LONGEST)) else { return };
        let text = for_sdks(text);
        self.0.retain(|limit| limit.holds(now) && !(limit.key == *key && limit.text == text));
        if self.0.len() >= MAX_LIMITS {
            self.0.remove(0);
        }
        self.0.push(RateLimit { key: key.clone(), categories, text, set: now, until });
    }

    /// Checks the items of an envelope. If an event or a transaction is removed, its attachments and profile are
    /// removed too.
    pub fn check(&self, key: &PublicKey, items: &[Item], now: SystemTime) -> RateLimitCheck {
        let active = || self.0.iter().filter(|limit| limit.key == *key && limit.holds(now));
        let mut check = RateLimitCheck { keep: vec![true; items.len()], retry_after: 0 };
        let mut event_removed = false;
        for (keep, item) in check.keep.iter_mut().zip(items) {
            for limit in active().filter(|limit| limit.covers(item)) {
                *keep = false;
                check.retry_after = check.retry_after.max(limit.seconds_left(now));
                event_removed |= matches!(item.kind, ItemKind::Event | ItemKind::Transaction);
            }
        }
        if event_removed {
            for (keep, item) in check.keep.iter_mut().zip(items) {
                *keep &= !matches!(item.kind, ItemKind::Attachment | ItemKind::Profile);
            }
        }
        check
    }

    /// Returns the header that tells an SDK the limits on its key. It is `None` if there are none.
    pub fn header(&self, key: &PublicKey, now: SystemTime) -> Option<String> {
        let mut header = String::new();
        for limit in self.0.iter().filter(|limit| limit.key == *key && limit.holds(now)) {
            // A limit that has no text, or none that fits, is kept to here.
            if limit.text.is_empty() || header.len() + limit.text.len() > MAX_HEADER {
                continue;
            }
            let comma = if header.is_empty() { "" } else { ", " };
            // Writing to a String cannot fail.
            let _ = write!(header, "{comma}{}:{}", limit.seconds_left(now), limit.text);
        }
        Some(header).filter(|header| !header.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> PublicKey {
        PublicKey::parse("a94ae32be2584e0bbd7a4cbb95971fee").unwrap()
    }

    fn items(names: &[&str]) -> Vec<Item> {
        names.iter().map(|name| Item { kind: ItemKind::of(name), count: 1, bytes: 1 }).collect()
    }

    fn now() -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000)
    }

    /// Returns which items are kept when this header is in force.
    fn kept(header: &str, names: &[&str]) -> Vec<bool> {
        let mut rate_limits = RateLimits::default();
        rate_limits.update(&key(), header, now());
        rate_limits.check(&key(), &items(names), now()).keep
    }

    #[test]
    fn limited_items_are_removed_and_the_rest_is_kept() {
        assert_eq!(kept("60:error:key", &["event", "session"]), [false, true]);
        assert_eq!(kept("60:transaction;span:key:reason", &["transaction", "log"]), [false, true]);
        assert_eq!(kept("60::organization", &["event", "log", "client_report"]), [false, false, true]);
        assert_eq!(kept("60:metric_bucket:organization", &["event"]), [true]);
        assert_eq!(kept("60:error, 30:log_item:key", &["event", "log", "span"]), [false, false, true]);
        assert_eq!(kept("nonsense, :error, x:error:key", &["event"]), [true]);
    }

    #[test]
    fn a_removed_event_removes_its_attachments_and_profile() {
        assert_eq!(kept("60:error:key", &["attachment", "event"]), [false, false]);
        assert_eq!(kept("60:transaction:key", &["transaction", "profile"]), [false, false]);
        assert_eq!(kept("60:session:key", &["session", "attachment"]), [false, true]);
    }

    #[test]
    fn limits_apply_to_their_own_key_only() {
        let other = PublicKey::parse("ffffffffffffffffffffffffffffffff").unwrap();
        let mut rate_limits = RateLimits::default();
        rate_limits.update_all(&key(), None, now());
        assert!(rate_limits.check(&key(), &items(&["event"]), now()).keeps_none());
        assert!(rate_limits.check(&other, &items(&["event"]), now()).keeps_all());
        assert_eq!(rate_limits.header(&other, now()), None);
    }

    #[test]
    fn limits_end_by_the_wall_clock_even_if_it_jumps() {
        let mut rate_limits = RateLimits::default();
        rate_limits.update(&key(), "60:error:key:quota", now());
        let keeps = |at| rate_limits.check(&key(), &items(&["event"]), at).keeps_all();
        assert!(!keeps(now() + Duration::from_secs(59)));
        assert!(keeps(now() + Duration::from_mins(1)));
        assert!(keeps(now() + Duration::from_hours(9)));
        assert!(keeps(now() - Duration::from_secs(1)), "the clock shows a time before the limit was set");
    }

    #[test]
    fn the_header_repeats_limits_with_the_seconds_left() {
        let mut rate_limits = RateLimits::default();
        rate_limits.update(&key(), "60:error;transaction:key:quota, 10:log_item:project", now());
        let later = now() + Duration::from_millis(500);
        let check = rate_limits.check(&key(), &items(&["event"]), later);
        assert_eq!(check.retry_after, 60);
        let header = rate_limits.header(&key(), later).unwrap();
        assert_eq!(header, "60:error;transaction:key:quota, 10:log_item:project");
        rate_limits.update(&key(), "5:error;transaction:key:quota", later);
        let header = rate_limits.header(&key(), later).unwrap();
        assert_eq!(
            header, "10:log_item:project, 5:error;transaction:key:quota",
            "the newer limit replaces the older"
        );
    }

    #[test]
    fn long_limits_reach_sdks_whole_or_without_whole_names() {
        let header_of = |header: &str| {
            let mut rate_limits = RateLimits::default();
            rate_limits.update(&key(), header, now());
            rate_limits.header(&key(), now()).unwrap_or_default()
        };
        let names: Vec<String> = (0..40).map(|n| format!("category_number_{n}")).collect();
        let long = format!("60:error;{}:organization:quota", names.join(";"));
        assert!(long.len() > 600);
        assert_eq!(header_of(&long), long, "nothing is cut");
        assert_eq!(header_of(&format!("60:error:key:{}", "r".repeat(3000))), "60:error:key");
        assert_eq!(header_of(&format!("60:error:key:{}:custom", "r".repeat(3000))), "60:error:key::custom");
        assert_eq!(header_of(&format!("60::key:{}", "r".repeat(3000))), "60::key");
        let many = format!("60:error;{}:key:quota", "some_category;".repeat(10_000));
        let cut = header_of(&many);
        assert!(cut.starts_with("60:error;some_category;") && cut.ends_with(";some_category:key"), "{cut}");
        assert!(cut.len() < MAX_TEXT);
        let unknown = format!("60:error;{}:{}:quota", "x".repeat(3000), "s".repeat(3000));
        assert_eq!(header_of(&unknown), "", "it is kept to here alone");
        assert_eq!(kept(&unknown, &["event", "log"]), [false, true]);
        assert_eq!(kept(&many, &["event", "log"]), [false, true]);
        let all: Vec<String> = (0..64).map(|n| format!("60:error:key:{n}{}", "r".repeat(1000))).collect();
        let header = header_of(&all.join(","));
        assert!(header.len() < MAX_HEADER + 2000 && header.matches("60:error").count() >= 7, "{header}");
    }

    #[test]
    fn the_number_of_limits_is_bounded() {
        let mut rate_limits = RateLimits::default();
        for n in 0..1000 {
            rate_limits.update(&key(), &format!("60:error:key:reason{n}"), now());
        }
        assert_eq!(rate_limits.0.len(), MAX_LIMITS);
    }
}
