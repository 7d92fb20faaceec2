//! The latest lines of the function, for the event of a fault. Pure.

use crate::insights::json::object;
use crate::protocol::LogLevel;
use crate::telemetry::RequestId;
use serde_json::Value;
use std::time::SystemTime;

/// How many lines are kept.
const MOST: usize = 20;
/// Longer messages are cut, in bytes.
const MAX_MESSAGE: usize = 512;

#[derive(Debug, Default)]
struct Breadcrumb {
    time: Option<SystemTime>,
    level: Option<LogLevel>,
    request: Option<RequestId>,
    message: String,
}

/// The latest lines.
#[derive(Debug, Default)]
pub(super) struct Breadcrumbs {
    kept: Vec<Breadcrumb>,
    /// The index of the oldest, which is replaced next.
    oldest: usize,
}

impl Breadcrumbs {
    /// Keeps a line, and lets go of the oldest.
    pub(super) fn keep(
        &mut self,
        message: &str,
        level: LogLevel,
        request: Option<&RequestId>,
        time: SystemTime,
    ) {
        if self.kept.len() < MOST {
            self.kept.push(Breadcrumb::default());
            self.oldest = self.kept.len() - 1;
        }
        // The memory of the oldest is used again.
        let Some(crumb) = self.kept.get_mut(self.oldest) else { return };
        self.oldest = (self.oldest + 1) % MOST;
        crumb.message.clear();
        crumb.message.push_str(message.get(..message.floor_char_boundary(MAX_MESSAGE)).unwrap_or_default());
        (crumb.time, crumb.level) = (Some(time), Some(level));
        if crumb.request.as_ref() != request {
            crumb.request = request.cloned();
        }
    }

    /// The lines of a request, or those before the first one, as the breadcrumbs of an event.
    pub(super) fn of(&self, request: Option<&RequestId>) -> Vec<Value> {
        let (newer, older) = self.kept.split_at(self.oldest.min(self.kept.len()));
        let own = older.iter().chain(newer).filter(|crumb| crumb.request.as_ref() == request);
        own.map(Breadcrumb::value).collect()
    }
}

impl Breadcrumb {
    fn value(&self) -> Value {
        let since = |time: SystemTime| time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let level = match self.level {
            Some(LogLevel::Trace | LogLevel::Debug) => "debug",
            Some(LogLevel::Warn) => "warning",
            Some(level) => level.name(),
            None => "info",
        };
        object(&mut [
            ("timestamp", self.time.map(|time| since(time).as_secs_f64()).into()),
            ("category", "console".into()),
            ("level", level.into()),
            ("message", (&*self.message).into()),
        ])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::time::Duration;

    #[test]
    fn the_latest_lines_of_the_request_in_their_order() {
        let mut crumbs = Breadcrumbs::default();
        let time = SystemTime::UNIX_EPOCH + Duration::from_millis(1500);
        let [one, other] = ["r-1", "r-2"].map(RequestId::new);
        for n in 0..30 {
            let request = if n % 2 == 0 { &one } else { &other };
            crumbs.keep(&format!("{n} {}", "ä".repeat(400)), LogLevel::Warn, Some(request), time);
        }
        let of_one = crumbs.of(Some(&one));
        assert_eq!(of_one.len(), MOST / 2);
        let first = &of_one[0];
        assert_eq!((&first["timestamp"], &first["level"]), (&json!(1.5), &json!("warning")));
        let message = first["message"].as_str().unwrap();
        assert!(message.starts_with("10 ä") && message.len() <= MAX_MESSAGE, "{message}");
        assert_eq!(crumbs.of(None), [Value::Null; 0]);
    }
}
