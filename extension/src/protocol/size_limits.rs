//! Limits the number of items of each type in an envelope, and their total bytes. The values are those of Sentry's
//! Relay.

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;
/// No limit of its own. The limit on all items of an envelope is lower.
const UNLIMITED: usize = usize::MAX;

/// The items and bytes that an envelope may still have, for each class.
#[derive(Debug)]
pub(super) struct SizeLimits([(usize, usize); Class::COUNT]);

/// An item type that has a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LimitedType {
    pub(super) name: &'static str,
    class: Class,
}

/// A group of item types that share one limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Class {
    Event,
    Attachment,
    ReplayRecording,
    ReplayVideo,
    Session,
    ClientReport,
    Profile,
    CheckIn,
    Statsd,
    MetricBuckets,
    Log,
    TraceMetric,
    Span,
    SpanContainer,
}

impl Class {
    const COUNT: usize = Self::SpanContainer as usize + 1;

    /// The most items of this class in one envelope, and the most bytes of their payloads.
    fn limit(self) -> (usize, usize) {
        match self {
            Self::Event | Self::Statsd | Self::MetricBuckets => (1, MIB),
            Self::Attachment => (30, 200 * MIB),
            Self::ReplayRecording | Self::ReplayVideo => (1, 10 * MIB),
            Self::Session => (100, 10 * MIB),
            Self::ClientReport => (100, 100 * KIB),
            Self::Profile => (1, 50 * MIB),
            Self::CheckIn => (1, 100 * KIB),
            Self::Log | Self::TraceMetric | Self::SpanContainer => (1, 12 * MIB),
            Self::Span => (UNLIMITED, 12 * MIB),
        }
    }
}

const TYPES: [(&str, Class); 22] = [
    ("event", Class::Event),
    ("transaction", Class::Event),
    ("security", Class::Event),
    ("raw_security", Class::Event),
    ("replay_event", Class::Event),
    ("feedback", Class::Event),
    ("form_data", Class::Event),
    ("attachment", Class::Attachment),
    ("unreal_report", Class::Attachment),
    ("user_report", Class::Attachment),
    ("replay_recording", Class::ReplayRecording),
    ("replay_video", Class::ReplayVideo),
    ("session", Class::Session),
    ("sessions", Class::Session),
    ("client_report", Class::ClientReport),
    ("profile", Class::Profile),
    ("profile_chunk", Class::Profile),
    ("profile_chunk_ui", Class::Profile),
    ("check_in", Class::CheckIn),
    ("statsd", Class::Statsd),
    ("metric_buckets", Class::MetricBuckets),
    ("log", Class::Log),
];

impl LimitedType {
    /// Finds the limit of an item type. Unknown types have none. `is_container` tells a container of spans from a span.
    pub(super) fn of(name: &str, is_container: bool) -> Option<Self> {
        let span = if is_container { Class::SpanContainer } else { Class::Span };
        let others = [("trace_metric", Class::TraceMetric), ("span", span)];
        let mut types = TYPES.into_iter().chain(others);
        types.find(|(known, _)| *known == name).map(|(name, class)| Self { name, class })
    }
}

const ALL: [Class; Class::COUNT] = [
    Class::Event,
    Class::Attachment,
    Class::ReplayRecording,
    Class::ReplayVideo,
    Class::Session,
    Class::ClientReport,
    Class::Profile,
    Class::CheckIn,
    Class::Statsd,
    Class::MetricBuckets,
    Class::Log,
    Class::TraceMetric,
    Class::Span,
    Class::SpanContainer,
];

impl SizeLimits {
    /// The limits for a new envelope.
    pub(super) fn new() -> Self {
        Self(ALL.map(Class::limit))
    }

    /// Counts one item. Returns `false` if it exceeds the limit.
    #[must_use]
    pub(super) fn count_item(&mut self, limited: LimitedType) -> bool {
        self.subtract(limited.class, |left| left.0.checked_sub(1).map(|items| (items, left.1)))
    }

    /// Counts bytes of an item's payload. Returns `false` if they exceed the limit.
    #[must_use]
    pub(super) fn count_bytes(&mut self, limited: LimitedType, count: usize) -> bool {
        self.subtract(limited.class, |left| left.1.checked_sub(count).map(|bytes| (left.0, bytes)))
    }

    fn subtract(
        &mut self,
        class: Class,
        subtract: impl FnOnce((usize, usize)) -> Option<(usize, usize)>,
    ) -> bool {
        let Some(left) = self.0.get_mut(class as usize) else { return false };
        subtract(*left).map(|rest| *left = rest).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_are_listed_in_order() {
        for (at, class) in ALL.into_iter().enumerate() {
            assert_eq!(class as usize, at);
        }
    }

    #[test]
    fn types_of_one_class_share_its_limits() {
        let mut limits = SizeLimits::new();
        let limited = |name| LimitedType::of(name, false).unwrap();
        assert!(limits.count_item(limited("event")));
        assert!(!limits.count_item(limited("transaction")));
        assert!(limits.count_bytes(limited("event"), MIB));
        assert!(!limits.count_bytes(limited("event"), 1));
        for _ in 0..30 {
            assert!(limits.count_item(limited("attachment")));
        }
        assert!(!limits.count_item(limited("user_report")));
        assert!((0..500).all(|_| limits.count_item(limited("span"))));
        assert_eq!(LimitedType::of("from the future", false), None);
    }
}
