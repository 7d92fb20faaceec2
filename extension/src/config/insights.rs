//! What the extension itself reports beside faults. All of it is off unless it is asked for, because it costs quota.
//! Spans alone have a default that adds something: they join traces that an SDK has begun and sampled.

use super::monitor::MonitorSettings;
use super::reader::EnvironmentReader;
use super::schedule::InvalidSchedule;
use super::units;
use crate::protocol::{LogLevel, decimal};

/// The bytes of logs that may be sent in a minute, unless a setting says otherwise.
const DEFAULT_LOGS_BUDGET: usize = 256 * 1024;

/// The settings of everything that the extension itself reports, except faults.
#[derive(Clone, Debug, PartialEq)]
pub struct InsightsSettings {
    /// Whether uncaught errors that the runtime logs become events.
    pub errors: bool,
    /// Which logs of the function go to Sentry. `None` stands for none.
    pub function_logs: Option<FunctionLogs>,
    /// Which spans the extension makes.
    pub spans: SpanMode,
    /// Whether the platform's measurements become metrics.
    pub metrics: bool,
    /// The monitor that each invocation checks in to.
    pub monitor: Option<MonitorSettings>,
}

/// Which logs of the function go to Sentry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FunctionLogs {
    /// The lowest level that is sent.
    pub level: LogLevel,
    /// The most bytes a minute, as Sentry bills them.
    pub budget: usize,
}

/// Which spans the extension makes.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum SpanMode {
    /// None.
    Off,
    /// Children of the sampled traces of an SDK.
    #[default]
    Auto,
    /// The same, and traces of the extension's own for this share of the invocations without one. It is between 0 and
    /// 1.
    Rate(f64),
}

impl InsightsSettings {
    /// Reads all of them.
    pub(super) fn read(reader: &mut EnvironmentReader<'_>) -> Self {
        Self {
            errors: reader.flag("SENTRY_EXTENSION_ERRORS", false),
            function_logs: reader.function_logs(),
            spans: reader.spans(),
            metrics: reader.flag("SENTRY_EXTENSION_METRICS", false),
            monitor: reader.monitor(),
        }
    }

    /// Whether the lines that the function writes are needed. A monitor needs them because Lambda does not tell of
    /// errors that the runtime catches, but the runtime logs them.
    pub fn need_function_records(&self) -> bool {
        self.errors || self.function_logs.is_some() || self.monitor.is_some()
    }
}

impl SpanMode {
    fn parse(text: &str) -> Option<Self> {
        let text = text.trim().to_ascii_lowercase();
        match text.as_str() {
            "auto" | "true" | "on" | "yes" => Some(Self::Auto),
            "off" | "false" | "no" | "none" => Some(Self::Off),
            _ => decimal::parse(&text).filter(|rate| (0.0..=1.0).contains(rate)).map(Self::Rate),
        }
    }
}

impl EnvironmentReader<'_> {
    fn function_logs(&mut self) -> Option<FunctionLogs> {
        const NAME: &str = "SENTRY_EXTENSION_FUNCTION_LOGS";
        let budget = self.size("SENTRY_EXTENSION_FUNCTION_LOGS_BUDGET", DEFAULT_LOGS_BUDGET);
        let text = (self.var)(NAME)?;
        let level = LogLevel::parse(text.trim());
        if level.is_none() && units::flag(&text) != Some(false) {
            let expected = "is none of off, trace, debug, info, warn, error, fatal";
            self.warn(NAME, expected, "no logs of the function are sent");
        }
        Some(FunctionLogs { level: level?, budget })
    }

    fn spans(&mut self) -> SpanMode {
        const NAME: &str = "SENTRY_EXTENSION_SPANS";
        let Some(text) = (self.var)(NAME) else { return SpanMode::default() };
        SpanMode::parse(&text).unwrap_or_else(|| {
            self.warn(NAME, "is none of off, auto, or a rate between 0.0 and 1.0", "auto is used");
            SpanMode::default()
        })
    }

    fn monitor(&mut self) -> Option<MonitorSettings> {
        const NAME: &str = "SENTRY_EXTENSION_MONITOR";
        let Ok((monitor, mistake)) = MonitorSettings::parse(&(self.var)(NAME)?) else {
            let expected =
                "does not begin with a slug, which is at most 50 lower-case letters, digits, - and _";
            self.warn(NAME, expected, "there are no check-ins");
            return None;
        };
        if let Some(mistake) = mistake {
            let expected = match mistake {
                InvalidSchedule::Malformed => {
                    "has a schedule that is neither like rate(5 minutes) nor like cron(0 8 * * ? *)"
                }
                InvalidSchedule::Untranslatable => {
                    "has a schedule with L, W, # or a year, which Sentry's monitors do not know"
                }
            };
            self.warn(NAME, expected, "check-ins are sent without a schedule");
        }
        Some(monitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, Overrides, Schedule};

    fn read(vars: &[(&str, &str)]) -> (InsightsSettings, Vec<String>) {
        let var = |name: &str| {
            if name == "SENTRY_DSN" {
                return Some("https://a94ae32be2584e0bbd7a4cbb95971fee@o1.ingest.sentry.io/42".to_owned());
            }
            let name = name.strip_prefix("SENTRY_EXTENSION_")?;
            vars.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned())
        };
        let (config, warnings) = Config::read(var, Overrides::default());
        (config.insights, warnings)
    }

    #[test]
    fn nothing_that_costs_quota_is_on_by_itself() {
        let (settings, warnings) = read(&[]);
        let off = InsightsSettings {
            errors: false,
            function_logs: None,
            spans: SpanMode::Auto,
            metrics: false,
            monitor: None,
        };
        assert_eq!((settings, warnings.len()), (off, 0));
    }

    #[test]
    fn everything_on() {
        let (settings, warnings) = read(&[
            ("ERRORS", "true"),
            ("FUNCTION_LOGS", " Warning "),
            ("FUNCTION_LOGS_BUDGET", "1MiB"),
            ("SPANS", "0.25"),
            ("METRICS", "on"),
            ("MONITOR", "nightly|rate(5 minutes)"),
        ]);
        let schedule = Some(Schedule::Interval { value: 5, unit: "minute" });
        let on = InsightsSettings {
            errors: true,
            function_logs: Some(FunctionLogs { level: LogLevel::Warn, budget: 1 << 20 }),
            spans: SpanMode::Rate(0.25),
            metrics: true,
            monitor: Some(MonitorSettings { slug: "nightly".to_owned(), schedule }),
        };
        assert_eq!(warnings, [""; 0]);
        assert_eq!(settings, on);
    }

    #[test]
    fn what_switches_off_is_no_mistake() {
        let (settings, warnings) =
            read(&[("ERRORS", "0"), ("FUNCTION_LOGS", "off"), ("SPANS", "false"), ("METRICS", "no")]);
        assert_eq!((settings.spans, settings.function_logs), (SpanMode::Off, None));
        assert!(!settings.need_function_records());
        assert_eq!(warnings, [""; 0]);
    }

    #[test]
    fn without_a_project_nothing_can_be_sent() {
        for name in ["SENTRY_EXTENSION_ERRORS", "SENTRY_EXTENSION_FUNCTION_LOGS"] {
            let value = if name.ends_with("LOGS") { "info" } else { "true" };
            let var = |wanted: &str| (wanted == name).then(|| value.to_owned());
            let (_, warnings) = Config::read(var, Overrides::default());
            assert!(warnings.len() == 1 && warnings.iter().all(|one| one.starts_with(name)), "{warnings:?}");
        }
    }

    #[test]
    fn bad_values_are_warned_of_and_change_nothing() {
        let (default, _) = read(&[]);
        for (name, value) in [
            ("ERRORS", "some"),
            ("FUNCTION_LOGS", "loud"),
            ("FUNCTION_LOGS", "true"),
            ("FUNCTION_LOGS_BUDGET", "much"),
            ("FUNCTION_LOGS_BUDGET", "0"),
            ("SPANS", "1.5"),
            ("SPANS", "-0.5"),
            ("SPANS", "NaN"),
            ("METRICS", "all"),
            ("MONITOR", "Two Words"),
        ] {
            let (settings, warnings) = read(&[(name, value)]);
            assert_eq!(settings, default, "{name}={value}");
            let is_named = |warning: &String| warning.starts_with(&format!("SENTRY_EXTENSION_{name} "));
            assert!(warnings.len() == 1 && warnings.iter().all(is_named), "{name}={value}: {warnings:?}");
        }
        let (settings, warnings) = read(&[("MONITOR", "nightly|daily")]);
        assert_eq!(settings.monitor, Some(MonitorSettings { slug: "nightly".to_owned(), schedule: None }));
        assert_eq!(warnings.len(), 1);
    }
}
