//! Translates the schedules of `EventBridge` into those that Sentry's monitors know. Pure.
//!
//! `rate(5 minutes)` becomes an interval. `cron(0 8 * * ? *)` has six fields, of which Sentry's crontab has five: there
//! is no year and no `?`, the week begins with 0 for Sunday instead of 1, and `2/5` is written as a range with a step.
//! What crontab cannot say is refused: `L`, `W`, `#`, and a year.

/// A schedule as Sentry's monitors know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Schedule {
    /// Every so many minutes, hours or days.
    Interval {
        /// How many.
        value: u32,
        /// `minute`, `hour` or `day`.
        unit: &'static str,
    },
    /// Five fields, in UTC.
    Crontab(String),
}

/// Why a schedule cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum InvalidSchedule {
    /// It is neither `rate(…)` nor `cron(…)`, or what stands in the parentheses is not right.
    Malformed,
    /// Sentry has no way to say it.
    Untranslatable,
}

use InvalidSchedule::{Malformed, Untranslatable};

/// A field of `cron(…)`, with its least and its greatest number and the names of numbers.
struct Field {
    min: u32,
    max: u32,
    names: &'static [&'static str],
    /// What is subtracted from a number for crontab.
    shift: u32,
}

const MONTHS: [&str; 12] =
    ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];
const DAYS: [&str; 7] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];
const FIELDS: [Field; 5] = [
    Field { min: 0, max: 59, names: &[], shift: 0 },
    Field { min: 0, max: 23, names: &[], shift: 0 },
    Field { min: 1, max: 31, names: &[], shift: 0 },
    Field { min: 1, max: 12, names: &MONTHS, shift: 0 },
    Field { min: 1, max: 7, names: &DAYS, shift: 1 },
];

impl Schedule {
    /// Reads `rate(5 minutes)` or `cron(0 8 * * ? *)`.
    pub(super) fn parse(text: &str) -> Result<Self, InvalidSchedule> {
        let (kind, rest) = text.trim().split_once('(').ok_or(Malformed)?;
        let inner = rest.strip_suffix(')').ok_or(Malformed)?;
        match kind.trim_end() {
            "rate" => Self::of_rate(inner),
            "cron" => Self::of_cron(inner),
            _ => Err(Malformed),
        }
    }

    fn of_rate(text: &str) -> Result<Self, InvalidSchedule> {
        let (value, unit) = text.trim().split_once(' ').ok_or(Malformed)?;
        let value = value.parse().ok().filter(|value| *value > 0).ok_or(Malformed)?;
        let unit = match unit.trim().strip_suffix('s').unwrap_or(unit.trim()) {
            "minute" => "minute",
            "hour" => "hour",
            "day" => "day",
            _ => return Err(Malformed),
        };
        Ok(Self::Interval { value, unit })
    }

    fn of_cron(text: &str) -> Result<Self, InvalidSchedule> {
        let fields: Vec<&str> = text.split_whitespace().collect();
        let Ok([minute, hour, day, month, weekday, year]) = <[&str; 6]>::try_from(fields) else {
            return Err(Malformed);
        };
        if year != "*" {
            return Err(Untranslatable);
        }
        // In crontab, two of them mean one or the other. EventBridge takes one of them only.
        if ![day, weekday].into_iter().any(|field| matches!(field, "?" | "*")) {
            return Err(Malformed);
        }
        let mut translated = Vec::with_capacity(FIELDS.len());
        for (field, text) in FIELDS.iter().zip([minute, hour, day, month, weekday]) {
            let parts: Result<Vec<String>, _> = text.split(',').map(|part| field.translated(part)).collect();
            translated.push(parts?.join(","));
        }
        Ok(Self::Crontab(translated.join(" ")))
    }
}

impl Field {
    fn translated(&self, part: &str) -> Result<String, InvalidSchedule> {
        let (range, step) = match part.split_once('/') {
            Some((range, step)) => (range, Some(self.step(step)?)),
            None => (part, None),
        };
        let step_text = step.map(|step| format!("/{step}")).unwrap_or_default();
        if matches!(range, "*" | "?") {
            return Ok(format!("*{step_text}"));
        }
        let (first, last) = match range.split_once('-') {
            Some((first, last)) => (self.number(first)?, self.number(last)?),
            // With a step, a single number is the first of all that follow.
            None if step.is_some() => (self.number(range)?, self.max),
            None => return Ok((self.number(range)? - self.shift).to_string()),
        };
        let (low, high) = (self.min - self.shift, self.max - self.shift);
        let (first, last) = (first - self.shift, last - self.shift);
        match step {
            _ if first <= last => Ok(format!("{first}-{last}{step_text}")),
            // From Friday to Monday, for example.
            None => Ok(format!("{first}-{high},{low}-{last}")),
            Some(_) => Err(Untranslatable),
        }
    }

    fn step(&self, text: &str) -> Result<u32, InvalidSchedule> {
        text.parse().ok().filter(|step| (1..=self.max).contains(step)).ok_or(Malformed)
    }

    fn number(&self, text: &str) -> Result<u32, InvalidSchedule> {
        let named = self.names.iter().position(|name| name.eq_ignore_ascii_case(text));
        if let Some(number) = named.and_then(|at| u32::try_from(at).ok()) {
            return Ok(number + self.min);
        }
        if text.bytes().any(|b| matches!(b.to_ascii_uppercase(), b'L' | b'W' | b'#')) {
            return Err(Untranslatable);
        }
        text.parse().ok().filter(|number| (self.min..=self.max).contains(number)).ok_or(Malformed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn rates() {
        let interval = |value, unit| Ok(Schedule::Interval { value, unit });
        for (text, schedule) in [
            ("rate(5 minutes)", interval(5, "minute")),
            ("rate(1 minute)", interval(1, "minute")),
            (" rate( 12  hours ) ", interval(12, "hour")),
            ("rate(7 days)", interval(7, "day")),
            ("rate(0 minutes)", Err(Malformed)),
            ("rate(-1 minutes)", Err(Malformed)),
            ("rate(5 weeks)", Err(Malformed)),
            ("rate(5minutes)", Err(Malformed)),
            ("rate(5 minutes", Err(Malformed)),
            ("at(2026-11-26T00:00:00)", Err(Malformed)),
            ("", Err(Malformed)),
        ] {
            assert_eq!(Schedule::parse(text), schedule, "{text}");
        }
    }

    /// The examples of AWS's documentation, and what crontab can and cannot say.
    #[test]
    fn crons() {
        for (text, crontab) in [
            ("0 10 * * ? *", Ok("0 10 * * *")),
            ("15 12 * * ? *", Ok("15 12 * * *")),
            ("0 18 ? * MON-FRI *", Ok("0 18 * * 1-5")),
            ("0 18 ? * 2-6 *", Ok("0 18 * * 1-5")),
            ("0 8 1 * ? *", Ok("0 8 1 * *")),
            ("0/10 * ? * MON-FRI *", Ok("0-59/10 * * * 1-5")),
            ("0/5 8-17 ? * MON-FRI *", Ok("0-59/5 8-17 * * 1-5")),
            ("*/15 * * * ? *", Ok("*/15 * * * *")),
            ("0 9 ? * 1 *", Ok("0 9 * * 0")),
            ("0 9 ? * SAT *", Ok("0 9 * * 6")),
            ("0 9 ? * fri-mon *", Ok("0 9 * * 5-6,0-1")),
            ("0 9 ? * 2/2 *", Ok("0 9 * * 1-6/2")),
            ("0 0 1 JAN,APR,JUL,OCT ? *", Ok("0 0 1 1,4,7,10 *")),
            ("0 22-2 * * ? *", Ok("0 22-23,0-2 * * *")),
            ("30 0/6 10-20/5 1-6 ? *", Ok("30 0-23/6 10-20/5 1-6 *")),
            ("0 9 L * ? *", Err(Untranslatable)),
            ("0 9 3W * ? *", Err(Untranslatable)),
            ("0 9 ? * 6L *", Err(Untranslatable)),
            ("0 9 ? * 3#2 *", Err(Untranslatable)),
            ("0 9 * * ? 2026", Err(Untranslatable)),
            ("0 9 * * ? 2026-2028", Err(Untranslatable)),
            ("0 22-2/2 * * ? *", Err(Untranslatable)),
            ("0 9 1 * MON *", Err(Malformed)),
            ("0 9 * * *", Err(Malformed)),
            ("60 9 * * ? *", Err(Malformed)),
            ("0 24 * * ? *", Err(Malformed)),
            ("0 9 0 * ? *", Err(Malformed)),
            ("0 9 ? * 8 *", Err(Malformed)),
            ("0 9 ? * 0 *", Err(Malformed)),
            ("0/0 9 * * ? *", Err(Malformed)),
            ("0 9 * FOO ? *", Err(Malformed)),
            (", 9 * * ? *", Err(Malformed)),
            ("", Err(Malformed)),
        ] {
            let crontab = crontab.map(|text: &str| Schedule::Crontab(text.to_owned()));
            assert_eq!(Schedule::parse(&format!("cron({text})")), crontab, "{text}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn any_text_is_read_without_a_panic(text in "(rate|cron)\\([-0-9A-Z*?/#, ]{0,30}\\)") {
            let _ = Schedule::parse(&text);
        }

        #[test]
        fn what_is_translated_has_five_fields_and_nothing_of_eventbridge(
            text in "cron\\(([0-9*/,-]{1,5} ){3}([0-9*]{1,2} )\\? \\*\\)",
        ) {
            if let Ok(Schedule::Crontab(crontab)) = Schedule::parse(&text) {
                prop_assert_eq!(crontab.split(' ').count(), 5);
                prop_assert!(crontab.bytes().all(|b| b.is_ascii_digit() || b"*/,- ".contains(&b)), "{}", crontab);
            }
        }
    }
}
