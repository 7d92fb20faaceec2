//! The cron monitor that invocations check in to, as `SENTRY_EXTENSION_MONITOR` names it.

use super::schedule::{InvalidSchedule, Schedule};

/// A monitor, and the schedule that is written down for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MonitorSettings {
    /// The monitor's name in Sentry.
    pub slug: String,
    /// The schedule that the monitor is given, if the setting has one.
    pub schedule: Option<Schedule>,
}

/// Why a text names no monitor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct InvalidSlug;

/// Sentry's bound for slugs.
const MAX_SLUG: usize = 50;

impl MonitorSettings {
    /// Reads `slug`, `slug|rate(5 minutes)` or `slug|cron(0 8 * * ? *)`. The second value says why a schedule that was
    /// written is not used.
    pub(super) fn parse(text: &str) -> Result<(Self, Option<InvalidSchedule>), InvalidSlug> {
        let (slug, schedule) = text.split_once('|').unwrap_or((text, ""));
        let (slug, schedule) = (slug.trim(), schedule.trim());
        let is_of_slug = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_');
        if slug.is_empty() || slug.len() > MAX_SLUG || !slug.bytes().all(is_of_slug) {
            return Err(InvalidSlug);
        }
        let (schedule, mistake) = match Some(schedule).filter(|text| !text.is_empty()).map(Schedule::parse) {
            Some(Ok(schedule)) => (Some(schedule), None),
            Some(Err(mistake)) => (None, Some(mistake)),
            None => (None, None),
        };
        Ok((Self { slug: slug.to_owned(), schedule }, mistake))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slug_with_or_without_a_schedule() {
        let read =
            |text| MonitorSettings::parse(text).map(|(one, mistake)| (one.slug, one.schedule, mistake));
        let of = |slug: &str, schedule, mistake| Ok((slug.to_owned(), schedule, mistake));
        let rate = Schedule::Interval { value: 5, unit: "minute" };
        let cron = Schedule::Crontab("0 8 * * *".to_owned());
        assert_eq!(read("nightly"), of("nightly", None, None));
        assert_eq!(read("nightly|"), of("nightly", None, None));
        assert_eq!(read(" nightly_1 | rate( 5 minutes ) "), of("nightly_1", Some(rate), None));
        assert_eq!(read("nightly|cron(0 8 * * ? *)"), of("nightly", Some(cron), None));
        for odd in ["nightly|daily", "nightly|rate()", "nightly|rate(5 minutes", "nightly|at(2026)"] {
            assert_eq!(read(odd), of("nightly", None, Some(InvalidSchedule::Malformed)), "{odd}");
        }
        let last_day = "nightly|cron(0 8 L * ? *)";
        assert_eq!(read(last_day), of("nightly", None, Some(InvalidSchedule::Untranslatable)));
        for odd in ["", "|rate(5 minutes)", "Nightly", "two words", &"x".repeat(51)] {
            assert_eq!(read(odd), Err(InvalidSlug), "{odd}");
        }
    }
}
