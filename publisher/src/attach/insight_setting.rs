//! The settings of the extension that `--insights` sets, with the values that the extension accepts.

use std::{collections::BTreeMap, str::FromStr};

/// One setting of the extension, and its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct InsightSetting {
    /// The name of the environment variable.
    pub(crate) variable: &'static str,
    pub(crate) value: String,
    /// Whether the value makes sense for one function alone.
    pub(crate) is_for_one_function: bool,
}

/// What one `--insights` sets: one setting or several, with commas between them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct InsightSettings(Vec<InsightSetting>);

impl InsightSettings {
    /// The values by the names of their variables. If a setting is given again, its last value counts.
    pub(crate) fn variables(all: &[Self]) -> BTreeMap<String, String> {
        let pair = |setting: &InsightSetting| (setting.variable.to_owned(), setting.value.clone());
        all.iter().flat_map(|some| &some.0).map(pair).collect()
    }

    /// Whether one of them makes sense for one function alone.
    pub(crate) fn are_for_one_function(all: &[Self]) -> bool {
        all.iter().flat_map(|some| &some.0).any(|setting| setting.is_for_one_function)
    }
}

impl FromStr for InsightSettings {
    type Err = BadInsightSetting;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_name = |part: &str| KNOWN.iter().any(|known| Some(known.name) == part.split('=').next());
        // Some values have commas themselves, so a comma ends a setting only before the name of another one.
        let mut parts: Vec<String> = Vec::new();
        for part in text.split(',') {
            match parts.last_mut() {
                Some(last) if !is_name(part) => *last = format!("{last},{part}"),
                _ => parts.push(part.to_owned()),
            }
        }
        Ok(Self(parts.iter().map(|part| part.parse()).collect::<Result<_, _>>()?))
    }
}

/// The text is not a setting with a value that the extension accepts. The extension would use its default instead.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadInsightSetting {
    #[error("`{0}` is no setting: faults, errors, logs, logs-budget, spans, metrics and monitor are")]
    Name(String),
    #[error("`{value}` is no value of {name}: {expected}")]
    Value { name: &'static str, value: String, expected: &'static str },
}

/// The spellings of a setting: its name here, its variable, whether a value is right, and what would be.
struct Known {
    name: &'static str,
    variable: &'static str,
    accepts: fn(&str) -> bool,
    expected: &'static str,
}

const KNOWN: [Known; 7] = [
    Known {
        name: "faults",
        variable: "SENTRY_EXTENSION_FAULTS",
        accepts: |value| is_flag(value) || value.split(',').all(|kind| FAULTS.contains(&kind.trim())),
        expected: "true, false, or a list of timeout, oom, exit, init and sandbox",
    },
    Known {
        name: "errors",
        variable: "SENTRY_EXTENSION_ERRORS",
        accepts: is_flag,
        expected: "true or false",
    },
    Known {
        name: "logs",
        variable: "SENTRY_EXTENSION_FUNCTION_LOGS",
        accepts: |value| LEVELS.contains(&value),
        expected: "off, trace, debug, info, warn, error or fatal",
    },
    Known {
        name: "logs-budget",
        variable: "SENTRY_EXTENSION_FUNCTION_LOGS_BUDGET",
        accepts: is_size,
        expected: "a size like 256KiB or 1MiB",
    },
    Known {
        name: "metrics",
        variable: "SENTRY_EXTENSION_METRICS",
        accepts: is_flag,
        expected: "true or false",
    },
    Known {
        name: MONITOR,
        variable: "SENTRY_EXTENSION_MONITOR",
        accepts: is_monitor,
        expected: "a slug, `slug|rate(5 minutes)` or `slug|cron(0 8 * * ? *)`",
    },
    Known {
        name: "spans",
        variable: "SENTRY_EXTENSION_SPANS",
        accepts: is_span_mode,
        expected: "off, auto, or a rate between 0.0 and 1.0",
    },
];
const MONITOR: &str = "monitor";
const FAULTS: [&str; 5] = ["timeout", "oom", "exit", "init", "sandbox"];
const LEVELS: [&str; 7] = ["off", "trace", "debug", "info", "warn", "error", "fatal"];

fn is_flag(value: &str) -> bool {
    ["true", "false"].contains(&value)
}

fn is_size(value: &str) -> bool {
    let digits = value.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = value.strip_prefix(digits).unwrap_or_default();
    digits.parse::<u64>().is_ok_and(|size| size > 0) && ["", "KiB", "MiB"].contains(&unit)
}

fn is_span_mode(value: &str) -> bool {
    ["off", "auto"].contains(&value) || value.parse::<f64>().is_ok_and(|rate| (0.0..=1.0).contains(&rate))
}

/// The extension reads the schedule itself. Here, only its form is checked, and that it consists of what the dialect of
/// `EventBridge` has, so that it needs no escapes in a template.
fn is_monitor(value: &str) -> bool {
    let (slug, schedule) = value.split_once('|').map_or((value, None), |(slug, rest)| (slug, Some(rest)));
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_".contains(c);
    let of_dialect = |c: char| c.is_ascii_alphanumeric() || " *?/,-#".contains(c);
    let is_schedule = |text: &str| {
        let inner =
            ["rate(", "cron("].into_iter().find_map(|kind| text.strip_prefix(kind)?.strip_suffix(')'));
        inner.is_some_and(|inner| inner.chars().all(of_dialect))
    };
    (1..=50).contains(&slug.len()) && slug.chars().all(plain) && schedule.is_none_or(is_schedule)
}

impl FromStr for InsightSetting {
    type Err = BadInsightSetting;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // `errors` alone switches it on. `monitor` alone lacks its slug.
        let (name, value) = text.split_once('=').unwrap_or((text, if text == MONITOR { "" } else { "true" }));
        let known = KNOWN.iter().find(|known| known.name == name);
        let known = known.ok_or_else(|| BadInsightSetting::Name(name.to_owned()))?;
        if !(known.accepts)(value) {
            let (name, expected) = (known.name, known.expected);
            return Err(BadInsightSetting::Value { name, value: value.to_owned(), expected });
        }
        Ok(Self {
            variable: known.variable,
            value: value.to_owned(),
            is_for_one_function: known.name == MONITOR,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attach::function_state::SETTINGS;

    #[test]
    fn every_setting_is_one_that_the_state_file_records() {
        assert!(KNOWN.iter().all(|known| SETTINGS.contains(&known.variable)));
        assert_eq!(KNOWN.len(), SETTINGS.len());
    }

    #[test]
    fn one_option_may_set_several() {
        let variables = |text: &str| text.parse().map(|some| InsightSettings::variables(&[some]));
        let several = "logs=info,errors,metrics,faults=timeout,oom,monitor=nightly|cron(0 8,20 * * ? *)";
        let expected = [
            ("SENTRY_EXTENSION_ERRORS", "true"),
            ("SENTRY_EXTENSION_FAULTS", "timeout,oom"),
            ("SENTRY_EXTENSION_FUNCTION_LOGS", "info"),
            ("SENTRY_EXTENSION_METRICS", "true"),
            ("SENTRY_EXTENSION_MONITOR", "nightly|cron(0 8,20 * * ? *)"),
        ];
        let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        assert_eq!(variables(several), Ok(expected));
        for bad in ["logs=info,other", "errors,", ",errors", "logs=info errors", "metrics,fault=oom"] {
            assert!(variables(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn values_that_the_extension_would_not_accept_are_refused() {
        for good in [
            "faults=timeout,oom",
            "faults",
            "errors",
            "errors=false",
            "logs=warn",
            "logs-budget=1MiB",
            "spans=off",
            "spans=0.25",
            "metrics=true",
            "monitor=nightly",
            "monitor=nightly|rate(5 minutes)",
        ] {
            assert!(good.parse::<InsightSetting>().is_ok(), "{good}");
        }
        for bad in [
            "",
            "fault=true",
            "faults=some",
            "errors=1.0",
            "logs=loud",
            "logs",
            "logs-budget=0",
            "logs-budget=1GB",
            "spans=1.5",
            "spans=NaN",
            "metrics=all",
            "monitor",
            "monitor=Two Words",
            "monitor=a|daily",
            "monitor=a|cron(0 8 \"* ? *)",
        ] {
            assert!(bad.parse::<InsightSetting>().is_err(), "{bad}");
        }
    }
}
