//! The numbers of data points.

use std::time::SystemTime;

/// A value. A whole number stays one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Number {
    Integer(i64),
    Double(f64),
}

impl Number {
    pub(super) fn is_finite(self) -> bool {
        !matches!(self, Self::Double(value) if !value.is_finite())
    }

    pub(super) fn is_zero(self) -> bool {
        matches!(self, Self::Integer(0)) || matches!(self, Self::Double(value) if value == 0.0)
    }

    /// Returns what was added to `earlier`. `None` means that it has become less, so it began anew.
    pub(super) fn since(self, earlier: Self) -> Option<Self> {
        if let (Self::Integer(now), Self::Integer(before)) = (self, earlier) {
            return now.checked_sub(before).filter(|added| *added >= 0).map(Self::Integer);
        }
        let added = self.as_double() - earlier.as_double();
        (added >= 0.0).then_some(Self::Double(added))
    }

    #[expect(clippy::cast_precision_loss, reason = "a counter beyond 2^53 is not exact in Sentry either")]
    fn as_double(self) -> f64 {
        match self {
            Self::Integer(value) => value as f64,
            Self::Double(value) => value,
        }
    }

    /// Writes it as JSON. It must be finite.
    pub(super) fn write(self, out: &mut Vec<u8>) {
        // Writing to a vector does not fail.
        let _ = match self {
            Self::Integer(value) => serde_json::to_writer(out, &value),
            Self::Double(value) => serde_json::to_writer(out, &value),
        };
    }
}

/// Returns a time in nanoseconds since 1970, as OTLP has it.
pub(super) fn nanos(time: SystemTime) -> u64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}
