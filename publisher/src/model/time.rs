//! The time of day, as files want it.

use aws_sdk_lambda::primitives::{DateTime, DateTimeFormat};
use std::time::SystemTime;

/// Now, to the second: RFC 3339, in UTC.
pub(crate) fn now() -> String {
    let now = DateTime::from_secs(DateTime::from(SystemTime::now()).secs());
    // It fails for years of five digits.
    now.fmt(DateTimeFormat::DateTime).unwrap_or_default()
}
