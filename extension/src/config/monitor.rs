//! The cron monitor that invocations check in to, as `SENTRY_EXTENSION_MONITOR` names it.

/// A monitor, and the schedule that is written down for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MonitorSettings {
    /// The monitor's name in Sentry.
    pub slug: String,
    /// The schedule that the monitor is given, if the setting has one.
    pub schedule: Option<MonitorSchedule>,
}

/// A schedule in the words of `EventBridge`. It is not checked any further here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MonitorSchedule {
    /// What stands in the parentheses of `rate(5 minutes)`.
    Rate(String),
    /// What stands in the parentheses of `cron(0 8 * * ? *)`.
    Cron(String),
}

/// Why a text names no monitor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct InvalidSlug;

/// Sentry's bound for slugs.
const MAX_SLUG: usize = 50;

impl MonitorSettings {
    /// Reads `slug`, `slug|rate(5 minutes)` or `slug|cron(0 8 * * ? *)`. The second value says whether a schedule was
    /// written that is neither of the two.
    pub(super) fn parse(text: &str) -> Result<(Self, bool), InvalidSlug> {
        let (slug, schedule) = text.split_once('|').unwrap_or((text, ""));
        let (slug, schedule) = (slug.trim(), schedule.trim());
        let is_of_slug = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_');
        if slug.is_empty() || slug.len() > MAX_SLUG || !slug.bytes().all(is_of_slug) {
            return Err(InvalidSlug);
        }
        let known = MonitorSchedule::parse(schedule);
        let is_unknown = known.is_none() && !schedule.is_empty();
        Ok((Self { slug: slug.to_owned(), schedule: known }, is_unknown))
    }
}

impl MonitorSchedule {
    fn parse(text: &str) -> Option<Self> {
        let (kind, rest) = text.split_once('(')?;
        let inner = rest.strip_suffix(')')?.trim().to_owned();
        match kind.trim_end() {
            _ if inner.is_empty() => None,
            "rate" => Some(Self::Rate(inner)),
            "cron" => Some(Self::Cron(inner)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slug_with_or_without_a_schedule() {
        let read = |text| MonitorSettings::parse(text).map(|(one, is_odd)| (one.slug, one.schedule, is_odd));
        let of = |slug: &str, schedule, is_odd| Ok((slug.to_owned(), schedule, is_odd));
        let rate = MonitorSchedule::Rate("5 minutes".to_owned());
        let cron = MonitorSchedule::Cron("0 8 * * ? *".to_owned());
        assert_eq!(read("nightly"), of("nightly", None, false));
        assert_eq!(read(" nightly_1 | rate( 5 minutes ) "), of("nightly_1", Some(rate), false));
        assert_eq!(read("nightly|cron(0 8 * * ? *)"), of("nightly", Some(cron), false));
        for odd in ["nightly|daily", "nightly|rate()", "nightly|rate(5 minutes", "nightly|at(2026)"] {
            assert_eq!(read(odd), of("nightly", None, true), "{odd}");
        }
        for odd in ["", "|rate(5 minutes)", "Nightly", "two words", &"x".repeat(51)] {
            assert_eq!(read(odd), Err(InvalidSlug), "{odd}");
        }
    }
}
