//! Sentry's data categories: what rate limits are about, and what losses are counted in.

use super::item::{Item, ItemKind};

macro_rules! categories {
    ($($(#[$doc:meta])* $variant:ident = $name:literal,)*) => {
        /// A category of data, by Sentry's names.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Category {
            $($(#[$doc])* $variant,)*
        }

        impl Category {
            /// The name in `X-Sentry-Rate-SizeLimits` and client reports.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }

            /// Reads a name; `None` for those that no item here falls under.
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
    /// Errors and messages.
    Error = "error",
    /// Traces' roots.
    Transaction = "transaction",
    /// Parts of traces.
    Span = "span",
    /// Reports of browsers' security policies.
    Security = "security",
    /// Bytes of attachments.
    Attachment = "attachment",
    /// Attachments.
    AttachmentItem = "attachment_item",
    /// Release health.
    Session = "session",
    /// What users say.
    Feedback = "feedback",
    /// Profiles of transactions.
    Profile = "profile",
    /// Parts of continuous profiles.
    ProfileChunk = "profile_chunk",
    /// Session replays.
    Replay = "replay",
    /// Check-ins of cron monitors.
    Monitor = "monitor",
    /// Log lines.
    LogItem = "log_item",
    /// Bytes of log lines.
    LogByte = "log_byte",
    /// Metrics.
    TraceMetric = "trace_metric",
    /// Bytes of metrics.
    TraceMetricByte = "trace_metric_byte",
}

impl Item {
    /// The categories that this item falls under, and how much of each it is.
    pub fn quantities(&self) -> impl Iterator<Item = (Category, u64)> {
        let (count, bytes) = (u64::from(self.count), self.bytes as u64);
        let (first, second) = match self.kind {
            ItemKind::Event | ItemKind::Fault => (Some((Category::Error, 1)), None),
            // A transaction that is lost takes its own span along at least.
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
            ItemKind::Log => (Some((Category::LogItem, count)), Some((Category::LogByte, bytes))),
            ItemKind::Metric => {
                (Some((Category::TraceMetric, count)), Some((Category::TraceMetricByte, bytes)))
            }
            ItemKind::Span => (Some((Category::Span, count)), None),
            ItemKind::Other => (None, None),
        };
        first.into_iter().chain(second)
    }

    /// Whether a limit on this category removes the item. A limit on spans leaves transactions alone.
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
    fn quantities_are_items_counts_or_bytes() {
        let of = |kind| item(kind).quantities().collect::<Vec<_>>();
        assert_eq!(of(ItemKind::Event), [(Category::Error, 1)]);
        assert_eq!(of(ItemKind::Log), [(Category::LogItem, 3), (Category::LogByte, 100)]);
        assert_eq!(of(ItemKind::Attachment), [(Category::Attachment, 100), (Category::AttachmentItem, 1)]);
        assert_eq!(of(ItemKind::Other), []);
    }

    #[test]
    fn a_limit_on_spans_leaves_transactions() {
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
