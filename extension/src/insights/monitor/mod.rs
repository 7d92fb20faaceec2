//! Check-ins of a cron monitor: each invocation begins one and ends it. Pure, except that ids are random.

use crate::config::{MonitorSettings, Schedule};
use crate::protocol::EventId;
use serde_json::{Value, json};
use std::time::Duration;

/// Sentry refuses a longer name of an environment.
const MAX_ENVIRONMENT: usize = 64;
/// How many minutes late a check-in may begin. `EventBridge` invokes within the minute, and a cold start takes time.
const MARGIN: u32 = 2;

/// What became of the check-in of an invocation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct CheckIn {
    /// The id of both of its parts, once it has begun.
    pub(super) id: Option<EventId>,
    pub(super) has_ended: bool,
}

/// The monitor that invocations check in to.
#[derive(Debug)]
pub(super) struct Monitor {
    pub(super) settings: MonitorSettings,
    /// What the settings say. Otherwise it is learnt from the function's own envelopes.
    pub(super) environment: Option<String>,
    pub(super) release: Option<String>,
}

/// What both parts of a check-in say of its surroundings.
#[derive(Clone, Copy, Debug)]
pub(super) struct Surroundings<'a> {
    pub(super) environment: Option<&'a str>,
    pub(super) release: Option<&'a str>,
    pub(super) trace_id: Option<&'a str>,
}

impl Monitor {
    /// The first part. `time_out` is the longest time that the invocation may take.
    pub(super) fn begun(&self, id: &EventId, about: Surroundings<'_>, time_out: Option<Duration>) -> Value {
        let mut check_in = self.part(id, "in_progress", about);
        if let (Some(schedule), Some(fields)) = (&self.settings.schedule, check_in.as_object_mut()) {
            let schedule = match schedule {
                Schedule::Interval { value, unit } => {
                    json!({ "type": "interval", "value": value, "unit": unit })
                }
                Schedule::Crontab(value) => json!({ "type": "crontab", "value": value }),
            };
            let mut config = json!({ "schedule": schedule, "checkin_margin": MARGIN, "timezone": "UTC" });
            if let (Some(time_out), Some(config)) = (time_out, config.as_object_mut()) {
                // Sentry counts in minutes.
                let minutes = time_out.as_secs().div_ceil(60).max(1);
                config.insert("max_runtime".to_owned(), minutes.into());
            }
            fields.insert("monitor_config".to_owned(), config);
        }
        check_in
    }

    /// The second part.
    pub(super) fn ended(
        &self,
        id: &EventId,
        about: Surroundings<'_>,
        has_failed: bool,
        duration: Option<Duration>,
    ) -> Value {
        let mut check_in = self.part(id, if has_failed { "error" } else { "ok" }, about);
        if let (Some(duration), Some(fields)) = (duration, check_in.as_object_mut()) {
            fields.insert("duration".to_owned(), duration.as_secs_f64().into());
        }
        check_in
    }

    fn part(&self, id: &EventId, status: &str, about: Surroundings<'_>) -> Value {
        let mut check_in =
            json!({ "check_in_id": id.to_string(), "monitor_slug": self.settings.slug, "status": status });
        let environment = self.environment.as_deref().or(about.environment);
        let release = self.release.as_deref().or(about.release);
        if let Some(fields) = check_in.as_object_mut() {
            for (name, value) in [
                ("environment", environment.filter(|name| name.len() <= MAX_ENVIRONMENT)),
                ("release", release),
            ] {
                fields.extend(value.map(|value| (name.to_owned(), value.into())));
            }
            let context = |trace_id| json!({ "trace": { "trace_id": trace_id } });
            fields.extend(about.trace_id.map(|trace_id| ("contexts".to_owned(), context(trace_id))));
        }
        check_in
    }
}
