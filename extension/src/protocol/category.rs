//! Sentry's data categories. Rate limits apply to categories, and client reports count lost data in them.

use super::item::{Item, ItemKind};

macro_rules! categories {
    ($($(#[$doc:meta])* $variant:ident = $name:literal,)*) => {
        /// One of Sentry's data categories.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Category {
            $($(#[$doc])* $variant,)*
        }

        impl Category {
            /// The category's name in `X-Sentry-Rate-Limits` and in client reports.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }

            /// Reads a category's name. Returns `None` for a category that no item in this crate belongs to.
            pub fn parse(name: &str) -> Option<Self> {
                match name {
                    $($name => Some(Self::$variant),)*
                    _ => None,
                }
            }
        }
    };
}

categories! {
    /// The number of errors and messages.
    Error = "error",
    /// The number of transactions.
    Transaction = "transaction",
    /// The number of spans.
    Span = "span",
    /// The number of browsers' reports about violated security policies.
    Security = "security",
    /// The size of attachments, in bytes.
    Attachment = "attachment",
    /// The number of attachments.
    AttachmentItem = "attachment_item",
    /// The number of sessions, from which Sentry computes release health.
    Session = "session",
    /// The number of users' feedback messages.
    Feedback = "feedback",
    /// The number of profiles that belong to a transaction.
    Profile = "profile",
    /// The number of chunks of continuous profiles.
    ProfileChunk = "profile_chunk",
    /// The number of session replays, or parts of them.
    Replay = "replay",
    /// The number of check-ins of cron monitors.
    Monitor = "monitor",
    /// The number of structured logs.
    LogItem = "log_item",
    /// The size of structured logs, in bytes.
    LogByte = "log_byte",
    /// The number of metrics.
    TraceMetric = "trace_metric",
    /// The size of metrics, in bytes.
    TraceMetricByte = "trace_metric_byte",
}

impl Item {
    /// The categories that this item counts in, and its quantity in each: a number of things or of bytes.
    pub fn quantities(&self) -> impl Iterator<Item = (Category, u64)> {
        let (count, bytes) = (u64::from(self.count), self.bytes as u64);
        let (first, second) = match self.kind {
            ItemKind::Event | ItemKind::Fault => (Some((Category::Error, 1)), None),
            // A transaction is also a span itself, so a lost transaction counts as one lost span too.
            ItemKind::Transaction => (Some((Category::Transaction, 1)), Some((Category::Span, 1))),
            ItemKind::Security => (Some((Category::Security, 1)), None),
            ItemKind::Attachment => {
                (Some((Category::Attachment, bytes)), Some((Category::AttachmentItem, 1)))
            }
            ItemKind::Session => (Some((Category::Session, 1)), None),
            ItemKind::Feedback => (Some((Category::Feedback, 1)), None),
            ItemKind::Profile => (Some((Category::Profile, 1)), None),
            ItemKind::ProfileChunk => (Some((Category::ProfileChunk, 1)), None),
            ItemKind::Replay => (Some((Category::Replay, 1)), None),
            ItemKind::CheckIn => (Some((Category::Monitor, 1)), None),
            ItemKind::Log | ItemKind::FunctionLog => {
                (Some((Category::LogItem, count)), Some((Category::LogByte, bytes)))
            }
            ItemKind::Metric => {
                (Some((Category::TraceMetric, count)), Some((Category::TraceMetricByte, bytes)))
            }
            ItemKind::Span => (Some((Category::Span, count)), None),
            ItemKind::Other => (None, None),
        };
        first.into_iter().chain(second)
    }

    /// Whether a rate limit on this category drops the item. A limit on spans does not drop transactions.
    pub fn is_limited_by(&self, category: Category) -> bool {
        let mut own = self.quantities().map(|(own, _)| own);
        match self.kind {
            ItemKind::Transaction => category == Category::Transaction,
            _ => own.any(|own| own == category),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(kind: ItemKind) -> Item {
        Item { kind, count: 3, bytes: 100 }
    }

    #[test]
    fn quantities_are_numbers_of_items_or_bytes() {
        let of = |kind| item(kind).quantities().collect::<Vec<_>>();
        assert_eq!(of(ItemKind::Event), [(Category::Error, 1)]);
        assert_eq!(of(ItemKind::Log), [(Category::LogItem, 3), (Category::LogByte, 100)]);
        assert_eq!(of(ItemKind::Attachment), [(Category::Attachment, 100), (Category::AttachmentItem, 1)]);
        assert_eq!(of(ItemKind::Other), []);
    }

    #[test]
    fn a_limit_on_spans_does_not_drop_transactions() {
        assert!(item(ItemKind::Span).is_limited_by(Category::Span));
        assert!(!item(ItemKind::Transaction).is_limited_by(Category::Span));
        assert!(item(ItemKind::Transaction).is_limited_by(Category::Transaction));
        assert!(!item(ItemKind::Other).is_limited_by(Category::Error));
    }

    #[test]
    fn names_round_trip() {
        for name in ["error", "log_byte", "monitor"] {
            assert_eq!(Category::parse(name).unwrap().name(), name);
        }
        assert_eq!(Category::parse("metric_bucket"), None);
    }
}
