//! How many items of a type an envelope may hold, and how many bytes they may have together: Relay's bounds.

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;
/// Any number: the bound on all items of an envelope is lower.
const ANY: usize = usize::MAX;

/// What may still come of each class: items and bytes.
#[derive(Debug)]
pub(super) struct SizeLimits([(usize, usize); Class::COUNT]);

/// A type of items that is bounded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bounded {
    pub(super) name: &'static str,
    class: Class,
}

/// Types that share a bound.
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

    /// Items and bytes of this class in one envelope.
    fn bound(self) -> (usize, usize) {
        match self {
            Self::Event | Self::Statsd | Self::MetricBuckets => (1, MIB),
            Self::Attachment => (30, 200 * MIB),
            Self::ReplayRecording | Self::ReplayVideo => (1, 10 * MIB),
            Self::Session => (100, 10 * MIB),
            Self::ClientReport => (100, 100 * KIB),
            Self::Profile => (1, 50 * MIB),
            Self::CheckIn => (1, 100 * KIB),
            Self::Log | Self::TraceMetric | Self::SpanContainer => (1, 12 * MIB),
            Self::Span => (ANY, 12 * MIB),
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

impl Bounded {
    /// The bound of an item's type; types that nobody knows have none.
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
    /// Nothing taken yet.
    pub(super) fn new() -> Self {
        Self(ALL.map(Class::bound))
    }

    /// Takes one more item; `false` where that is one too many.
    #[must_use]
    pub(super) fn item(&mut self, of: Bounded) -> bool {
        self.take(of.class, |left| left.0.checked_sub(1).map(|items| (items, left.1)))
    }

    /// Takes bytes of an item's payload; `false` where there are too many.
    #[must_use]
    pub(super) fn bytes(&mut self, of: Bounded, count: usize) -> bool {
        self.take(of.class, |left| left.1.checked_sub(count).map(|bytes| (left.0, bytes)))
    }

    fn take(&mut self, class: Class, less: impl FnOnce((usize, usize)) -> Option<(usize, usize)>) -> bool {
        let Some(left) = self.0.get_mut(class as usize) else { return false };
        less(*left).map(|rest| *left = rest).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_stand_in_their_order() {
        for (at, class) in ALL.into_iter().enumerate() {
            assert_eq!(class as usize, at);
        }
    }

    #[test]
    fn items_and_bytes_are_bounded_for_types_that_belong_together() {
        let mut limits = SizeLimits::new();
        let of = |name| Bounded::of(name, false).unwrap();
        assert!(limits.item(of("event")));
        assert!(!limits.item(of("transaction")));
        assert!(limits.bytes(of("event"), MIB));
        assert!(!limits.bytes(of("event"), 1));
        for _ in 0..30 {
            assert!(limits.item(of("attachment")));
        }
        assert!(!limits.item(of("user_report")));
        assert!((0..500).all(|_| limits.item(of("span"))));
        assert_eq!(Bounded::of("from the future", false), None);
    }
}
