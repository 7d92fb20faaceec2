//! Check-ins of a cron monitor: each invocation begins one and ends it. Pure, except that ids are random.

use crate::config::{MonitorSettings, Schedule};
use crate::insights::json::{fields_of, object, set};
use crate::protocol::EventId;
use serde_json::{Map, Value};
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
        if let Some(schedule) = &self.settings.schedule {
            let schedule = match schedule {
                Schedule::Interval { value, unit } => object(&mut [
                    ("type", "interval".into()),
                    ("value", (*value).into()),
                    ("unit", (*unit).into()),
                ]),
                Schedule::Crontab(value) => {
                    object(&mut [("type", "crontab".into()), ("value", (&**value).into())])
                }
            };
            let mut config = fields_of(&mut [
                ("schedule", schedule),
                ("checkin_margin", MARGIN.into()),
                ("timezone", "UTC".into()),
            ]);
            if let Some(time_out) = time_out {
                // Sentry counts in minutes.
                let minutes = time_out.as_secs().div_ceil(60).max(1);
                set(&mut config, "max_runtime", minutes.into());
            }
            set(&mut check_in, "monitor_config", config.into());
        }
        check_in.into()
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
        if let Some(duration) = duration {
            set(&mut check_in, "duration", duration.as_secs_f64().into());
        }
        check_in.into()
    }

    fn part(&self, id: &EventId, status: &str, about: Surroundings<'_>) -> Map<String, Value> {
        let mut check_in = fields_of(&mut [
            ("check_in_id", id.to_string().into()),
            ("monitor_slug", (&*self.settings.slug).into()),
            ("status", status.into()),
        ]);
        let environment = self.environment.as_deref().or(about.environment);
        let release = self.release.as_deref().or(about.release);
        if let Some(environment) = environment.filter(|name| name.len() <= MAX_ENVIRONMENT) {
            set(&mut check_in, "environment", environment.into());
        }
        if let Some(release) = release {
            set(&mut check_in, "release", release.into());
        }
        if let Some(trace_id) = about.trace_id {
            let trace = object(&mut [("trace_id", trace_id.into())]);
            set(&mut check_in, "contexts", object(&mut [("trace", trace)]));
        }
        check_in
    }
}
