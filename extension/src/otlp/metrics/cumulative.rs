//! What cumulative series have reported so far. Sentry adds up what it gets, so only what a data point adds to the one
//! before it may be sent.
//!
//! The memory is bounded. A series that has reported nothing for an hour is forgotten if another needs its
//! place. If there is none, the new one is rejected.

use super::histogram::Histogram;
use super::number::Number;

/// The most memory of all series, in bytes.
const MAX_BYTES: usize = 256 * 1024;
/// What a series takes beside the counts of its buckets, in bytes.
const PER_SERIES: usize = 192;
/// After this time a series may be forgotten. Nanoseconds.
const IDLE: u64 = 3600 * 1_000_000_000;

const FULL: &str = "there are too many cumulative series: \
    set OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE to delta";

/// What a series has counted since its start.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Total {
    Sum(Number),
    Histogram(Histogram),
}

impl Total {
    fn since(&self, earlier: &Self) -> Option<Self> {
        match (self, earlier) {
            (Self::Sum(now), Self::Sum(before)) => now.since(*before).map(Self::Sum),
            (Self::Histogram(now), Self::Histogram(before)) => now.since(before).map(Self::Histogram),
            _ => None,
        }
    }

    /// Returns it as it is remembered.
    fn remembered(&self) -> Self {
        match self {
            Self::Histogram(Histogram { count, sum, buckets, .. }) => Self::Histogram(Histogram {
                count: *count,
                sum: *sum,
                buckets: buckets.clone(),
                ..Histogram::default()
            }),
            Self::Sum(_) => self.clone(),
        }
    }

    fn bytes(&self) -> usize {
        match self {
            Self::Sum(_) => PER_SERIES,
            Self::Histogram(histogram) => PER_SERIES + histogram.buckets.len() * size_of::<u64>(),
        }
    }
}

#[derive(Debug)]
struct Series {
    identity: u64,
    start: u64,
    total: Total,
    /// When it reported something last.
    reported_at: u64,
}

/// All series that are remembered.
#[derive(Debug)]
pub(super) struct CumulativeSeries {
    /// By their identity. They are few enough for a list.
    series: Vec<Series>,
    bytes: usize,
    /// A series that is not remembered and began after this time has reported nothing yet.
    known_since: u64,
}

impl CumulativeSeries {
    /// `now` is the start of this process, in nanoseconds like all times here.
    pub(super) fn new(now: u64) -> Self {
        Self { series: Vec::new(), bytes: 0, known_since: now }
    }

    /// Returns what a data point adds to what its series has reported before. `None` means that this is not known: the
    /// series is older than this process, and this is its first data point here. The error says why the series cannot
    /// be remembered.
    pub(super) fn added(
        &mut self,
        identity: u64,
        start: u64,
        total: &Total,
        now: u64,
    ) -> Result<Option<Total>, &'static str> {
        let before = self.position(identity).ok().and_then(|at| self.series.get(at));
        let added = match before {
            Some(before) if before.start == start => {
                // What has become less has begun anew, and all of it is new.
                total.since(&before.total).or_else(|| Some(total.clone()))
            }
            Some(before) if start > before.start => Some(total.clone()),
            None if start >= self.known_since => Some(total.clone()),
            _ => None,
        };
        let bytes = total.bytes();
        let held = before.map_or(0, |before| before.total.bytes());
        if self.bytes - held + bytes > MAX_BYTES {
            self.forget_idle(identity, now);
        }
        if self.bytes - held + bytes > MAX_BYTES {
            return Err(FULL);
        }
        self.bytes = self.bytes - held + bytes;
        let newest = Series { identity, start, total: total.remembered(), reported_at: now };
        match self.position(identity) {
            Ok(at) => {
                if let Some(one) = self.series.get_mut(at) {
                    *one = newest;
                }
            }
            Err(at) => self.series.insert(at, newest),
        }
        Ok(added)
    }

    /// Returns where a series is, or where it belongs.
    fn position(&self, identity: u64) -> Result<usize, usize> {
        self.series.binary_search_by_key(&identity, |one| one.identity)
    }

    /// Forgets the series that have reported nothing for long, except one. Should one of them go on, its whole total
    /// must not be taken for new.
    fn forget_idle(&mut self, except: u64, now: u64) {
        let before = self.series.len();
        self.series.retain(|one| one.identity == except || now.saturating_sub(one.reported_at) < IDLE);
        if self.series.len() < before {
            self.known_since = self.known_since.max(now);
            self.bytes = self.series.iter().map(|one| one.total.bytes()).sum();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: u64 = 1_000;

    fn sum(value: i64) -> Total {
        Total::Sum(Number::Integer(value))
    }

    #[test]
    fn a_series_that_began_here_is_new_from_its_first_point_on() {
        let mut series = CumulativeSeries::new(START);
        for (total, added) in [(5, 5), (5, 0), (9, 4), (2, 2), (3, 1)] {
            assert_eq!(series.added(1, START, &sum(total), START), Ok(Some(sum(added))), "{total}");
        }
        // It has begun anew, and says so.
        assert_eq!(series.added(1, START + 1, &sum(9), START), Ok(Some(sum(9))));
        // Another series is another.
        assert_eq!(series.added(2, START, &sum(7), START), Ok(Some(sum(7))));
        // A point that was late, of a start before the last one.
        assert_eq!(series.added(2, START - 1, &sum(100), START), Ok(None));
    }

    #[test]
    fn of_an_older_series_only_the_difference_is_new() {
        let mut series = CumulativeSeries::new(START);
        for (start, total, added) in [(START - 1, 1_000, None), (START - 1, 1_003, Some(sum(3)))] {
            assert_eq!(series.added(1, start, &sum(total), START), Ok(added));
        }
        // It does not say when it began.
        assert_eq!(series.added(2, 0, &sum(7), START), Ok(None));
        assert_eq!(series.added(2, 0, &sum(8), START), Ok(Some(sum(1))));
    }

    #[test]
    fn memory_is_bounded_and_nothing_is_counted_twice() {
        let mut series = CumulativeSeries::new(START);
        let most = (MAX_BYTES / PER_SERIES) as u64;
        for identity in 0..most {
            assert_eq!(series.added(identity, START, &sum(1), START), Ok(Some(sum(1))));
        }
        assert_eq!(series.added(most, START, &sum(1), START), Err(FULL));
        assert_eq!(series.added(0, START, &sum(3), START), Ok(Some(sum(2))), "known ones go on");
        // An hour later there is room, but the forgotten ones are not new.
        let later = START + IDLE;
        assert_eq!(series.added(0, START, &sum(4), START + 1), Ok(Some(sum(1))));
        assert_eq!(series.added(most, later, &sum(1), later), Ok(Some(sum(1))));
        assert_eq!(series.added(1, START, &sum(5), later), Ok(None));
        assert_eq!(series.added(0, START, &sum(6), later), Ok(Some(sum(2))));
        assert_eq!(series.series.len(), 3);
        let bytes: usize = series.series.iter().map(|one| one.total.bytes()).sum();
        assert_eq!(series.bytes, bytes);
    }

    #[test]
    fn histograms_count_by_their_buckets() {
        let mut series = CumulativeSeries::new(START);
        let histogram = |buckets: usize| {
            Total::Histogram(Histogram { count: 1, buckets: vec![1; buckets], ..Histogram::default() })
        };
        for identity in 0..1_000 {
            let _ = series.added(identity, START, &histogram(1_000), START);
        }
        assert!(series.series.len() < 40, "{}", series.series.len());
        let added = series.added(0, START, &histogram(1_000), START).unwrap();
        assert!(matches!(added, Some(Total::Histogram(added)) if added.count == 0));
    }
}
