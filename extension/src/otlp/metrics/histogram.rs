//! Histograms. Sentry's distributions are made of single values, which a histogram does not have any more. So values
//! are made that are spread as its buckets say, and have its own mean.

use super::number::Number;

/// The most values that are made of a data point, so that one request cannot cost a quota. Up to this number there are
/// as many as were measured.
const MAX_VALUES: u64 = 100;

/// A histogram, without its bounds where only its counts matter.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Histogram {
    pub(super) count: u64,
    pub(super) sum: Option<f64>,
    pub(super) min: Option<f64>,
    pub(super) max: Option<f64>,
    /// The upper bounds of all buckets but the last, which has none.
    pub(super) bounds: Vec<f64>,
    /// The number of values in each bucket.
    pub(super) buckets: Vec<u64>,
}

impl Histogram {
    /// Returns what was added to an earlier one. `None` means that it began anew.
    pub(super) fn since(&self, earlier: &Self) -> Option<Self> {
        if self.buckets.len() != earlier.buckets.len() {
            return None;
        }
        let buckets = self.buckets.iter().zip(&earlier.buckets);
        let buckets: Option<Vec<u64>> = buckets.map(|(now, before)| now.checked_sub(*before)).collect();
        Some(Self {
            count: self.count.checked_sub(earlier.count)?,
            sum: self.sum.zip(earlier.sum).map(|(now, before)| now - before),
            // These are of all values since the start.
            min: None,
            max: None,
            bounds: Vec::new(),
            buckets: buckets?,
        })
    }

    /// Returns values that are spread as the buckets say.
    pub(super) fn values(&self, bounds: &[f64]) -> Vec<Number> {
        let number = self.count.min(MAX_VALUES);
        let mean = self.sum.map(|sum| sum / float(self.count)).filter(|mean| mean.is_finite());
        let has_buckets = self.buckets.len() == bounds.len() + 1 && self.buckets.len() > 1;
        let mut values: Vec<f64> = if has_buckets {
            (0..number).filter_map(|nth| self.value_at((float(nth) + 0.5) / float(number), bounds)).collect()
        } else {
            let middle = self.min.zip(self.max).map(|(min, max)| f64::midpoint(min, max));
            (0..number).filter_map(|_| mean.or(middle)).collect()
        };
        if let Some(mean) = mean {
            correct(&mut values, mean);
        }
        values.into_iter().filter(|value| value.is_finite()).map(Number::Double).collect()
    }

    /// Returns the value below which this share of all values is, as if they were spread evenly within each bucket.
    fn value_at(&self, share: f64, bounds: &[f64]) -> Option<f64> {
        let in_buckets = self.buckets.iter().fold(0_u64, |sum, count| sum.saturating_add(*count));
        let rank = share * float(in_buckets);
        let mut before = 0.0;
        for (at, count) in self.buckets.iter().enumerate().filter(|(_, count)| **count > 0) {
            let count = float(*count);
            if rank <= before + count {
                let (low, high) = self.edges(at, bounds)?;
                return Some(low + (high - low) * (rank - before) / count);
            }
            before += count;
        }
        None
    }

    /// Returns the bounds of a bucket, as narrow as they are known.
    fn edges(&self, at: usize, bounds: &[f64]) -> Option<(f64, f64)> {
        let lower = at.checked_sub(1).and_then(|below| bounds.get(below)).copied();
        let upper = bounds.get(at).copied();
        // Most histograms are of what is never negative, and their first bucket begins at zero.
        let low = lower.or(self.min).or(upper.map(|upper| upper.min(0.0)))?;
        let high = upper.or(self.max).or(lower)?;
        let low = self.min.map_or(low, |min| low.max(min));
        let high = self.max.map_or(high, |max| high.min(max));
        Some((low, high.max(low)))
    }
}

/// Moves values so that they have this mean. Those of one sign keep it.
fn correct(values: &mut [f64], mean: f64) {
    let made = values.iter().sum::<f64>() / float(values.len() as u64);
    let factor = mean / made;
    let has_one_sign = factor.is_finite() && factor > 0.0;
    for value in values {
        *value = if has_one_sign { *value * factor } else { *value + (mean - made) };
    }
}

#[expect(clippy::cast_precision_loss, reason = "a share of more than 2^53 values need not be exact")]
fn float(number: u64) -> f64 {
    number as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(histogram: &Histogram) -> Vec<f64> {
        let values = histogram.values(&histogram.bounds).into_iter();
        values
            .map(|value| if let Number::Double(value) = value { value } else { panic!("{value:?}") })
            .collect()
    }

    fn histogram(count: u64, sum: f64, bounds: &[f64], buckets: &[u64]) -> Histogram {
        let (bounds, buckets) = (bounds.to_vec(), buckets.to_vec());
        Histogram { count, sum: Some(sum), min: None, max: None, bounds, buckets }
    }

    fn is_near(a: f64, b: f64) -> bool {
        (a - b).abs() < 1e-9 * b.abs().max(1.0)
    }

    #[test]
    fn a_single_value_is_exact() {
        let values = values(&histogram(1, 17.25, &[10.0, 20.0], &[0, 1, 0]));
        assert!(values.len() == 1 && is_near(values[0], 17.25), "{values:?}");
    }

    #[test]
    fn as_many_values_as_were_measured_with_the_same_mean_in_the_same_buckets() {
        let values = values(&histogram(10, 300.0, &[0.0, 10.0, 50.0, 100.0], &[0, 4, 4, 2, 0]));
        assert_eq!(values.len(), 10);
        assert!(is_near(values.iter().sum::<f64>(), 300.0), "{values:?}");
        let below = |bound| values.iter().filter(|value| **value <= bound).count();
        assert_eq!([below(10.0), below(50.0), below(100.0)], [4, 8, 10], "{values:?}");
        assert!(values.is_sorted());
    }

    #[test]
    fn many_values_are_represented_by_a_hundred() {
        let values = values(&histogram(1_000_000, 3e6, &[1.0, 5.0], &[250_000, 500_000, 250_000]));
        assert_eq!(values.len(), 100);
        assert!(is_near(values.iter().sum::<f64>(), 300.0), "{values:?}");
    }

    #[test]
    fn least_and_greatest_values_bound_the_outer_buckets() {
        let outer = Histogram {
            sum: None,
            min: Some(-3.0),
            max: Some(90.0),
            ..histogram(4, 0.0, &[0.0, 10.0], &[2, 0, 2])
        };
        assert_eq!(values(&outer), [-2.25, -0.75, 30.0, 70.0]);
    }

    #[test]
    fn without_buckets_all_values_are_the_mean() {
        assert_eq!(values(&histogram(3, 6.0, &[], &[])), [2.0; 3]);
        assert_eq!(values(&histogram(3, 6.0, &[], &[3])), [2.0; 3]);
        // The counts do not fit the bounds.
        assert_eq!(values(&histogram(2, 3.0, &[1.0], &[1, 1, 1])), [1.5; 2]);
        assert_eq!(values(&Histogram { sum: None, ..histogram(3, 0.0, &[], &[]) }), [0.0; 0]);
    }

    #[test]
    fn negative_values_and_odd_counts() {
        let negative = values(&histogram(2, -8.0, &[-5.0, -1.0], &[1, 1, 0]));
        assert!(is_near(negative.iter().sum::<f64>(), -8.0), "{negative:?}");
        let mixed = values(&histogram(2, 0.0, &[-5.0, 5.0], &[1, 0, 1]));
        assert!(mixed.iter().sum::<f64>().abs() < 1e-9, "{mixed:?}");
        assert_eq!(values(&histogram(0, 0.0, &[1.0], &[0, 0])), [0.0; 0]);
        // The buckets are empty although values were counted.
        assert_eq!(values(&histogram(3, 6.0, &[1.0], &[0, 0])), [0.0; 0]);
        let huge = histogram(u64::MAX, f64::MAX, &[1.0], &[u64::MAX, u64::MAX]);
        assert!(values(&huge).len() <= 100);
    }

    #[test]
    fn what_was_added_to_an_earlier_one() {
        let (early, late) = (histogram(2, 3.0, &[1.0], &[1, 1]), histogram(5, 10.0, &[1.0], &[2, 3]));
        let added = late.since(&early).unwrap();
        assert_eq!((added.count, added.sum, &added.buckets[..]), (3, Some(7.0), &[1, 2][..]));
        assert_eq!(early.since(&late), None);
        assert_eq!(late.since(&histogram(2, 3.0, &[1.0, 2.0], &[1, 1, 0])), None);
    }
}
