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

/// Returns the text of a limit as SDKs get it: reduced to ASCII, and bounded. What is left out is left out as a whole,
/// so that no name is cut and no limit gets wider. An empty text is left out itself.
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
            // SDKs get the limit in this form, and must not find other categories in it.
            let rest: String = rest.chars().filter(char::is_ascii_graphic).collect();
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
            // Without categories and scope it limits everything, and SDKs have to know that.
            let text = if rest.is_empty() { ":" } else { &rest };
            self.set(key, categories, text, lasts, now);
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
mod tests;
