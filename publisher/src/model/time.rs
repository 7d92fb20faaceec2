//! The current time in the format of the files in `dist/`.

use aws_sdk_lambda::primitives::{DateTime, DateTimeFormat};
use std::time::SystemTime;

/// The current time as RFC 3339 in UTC, without fractions of a second.
pub(crate) fn now() -> String {
    let now = DateTime::from_secs(DateTime::from(SystemTime::now()).secs());
    // Formatting fails only for years of five digits.
    now.fmt(DateTimeFormat::DateTime).unwrap_or_default()
}
