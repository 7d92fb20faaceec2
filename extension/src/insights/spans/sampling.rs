//! Decides which traces of the extension's own are sent. Pure.

/// How many of the last hex digits of a trace id make its random number. They are random in X-Ray's ids too, which
/// begin with the time, and they fit into a float without a loss.
const DIGITS: usize = 13;
/// The number of their values, which is 2⁵².
const RANGE: f64 = 4_503_599_627_370_496.0;

/// The decision on a trace. It follows from the trace's id alone, so that all functions of a trace come to the same one
/// if they have the same rate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::insights) struct Decision {
    /// A number from 0 up to 1, without 1.
    pub(super) random: f64,
    pub(super) rate: f64,
}

impl Decision {
    /// `None`: this is no trace id.
    pub(in crate::insights) fn of(trace_id: &str, rate: f64) -> Option<Self> {
        let digits = trace_id.get(trace_id.len().checked_sub(DIGITS)?..)?;
        let number = u64::from_str_radix(digits, 16).ok()?;
        // 52 bits fit.
        #[expect(clippy::cast_precision_loss)]
        let random = number as f64 / RANGE;
        Some(Self { random, rate })
    }

    pub(in crate::insights) fn is_sampled(self) -> bool {
        self.random < self.rate
    }

    /// The number as SDKs write it: six decimals, never rounded up to 1.
    pub(super) fn written_random(self) -> String {
        // It is below 1, so there are at most six digits.
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let millionths = (self.random * 1e6) as u32;
        format!("0.{millionths:06}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_ends_of_the_range() {
        let sampled = |trace: &str, rate| Decision::of(trace, rate).map(Decision::is_sampled);
        let (least, most) = ("0".repeat(32), "f".repeat(32));
        assert_eq!((sampled(&least, 0.0), sampled(&most, 0.0)), (Some(false), Some(false)));
        assert_eq!((sampled(&least, 1.0), sampled(&most, 1.0)), (Some(true), Some(true)));
        assert_eq!(Decision::of(&most, 1.0).unwrap().written_random(), "0.999999");
        assert_eq!((sampled("", 1.0), sampled("no hex digits here", 1.0)), (None, None));
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn a_higher_rate_keeps_every_trace_of_a_lower_one(trace in "[0-9a-f]{32}", low in 0.0..1.0, more in 0.0..1.0) {
            let sampled = |rate| Decision::of(&trace, rate).unwrap().is_sampled();
            prop_assert!(!sampled(low) || sampled(low + (1.0 - low) * more));
        }
    }

    #[test]
    fn the_share_is_the_rate() {
        let traces = (0..4000).map(|_| crate::protocol::EventId::random().to_string());
        let kept = traces.filter(|trace| Decision::of(trace, 0.25).unwrap().is_sampled()).count();
        assert!((800..1200).contains(&kept), "{kept}");
    }
}
