//! The times of Lambda's records: RFC 3339 in UTC, with a fraction of any length.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Reads `2026-11-25T10:00:00.010Z`; `None` for every other form and for times before 1970.
pub(super) fn parse(text: &str) -> Option<SystemTime> {
    let text = text.strip_suffix('Z')?;
    let (date, time) = text.split_once('T')?;
    let (time, fraction) = time.split_once('.').unwrap_or((time, ""));
    let [year, month, day] = numbers(date, '-')?;
    let [hour, minute, second] = numbers(time, ':')?;
    let in_range = (1970..10_000).contains(&year)
        && (1..=12).contains(&month)
        && (1..=31).contains(&day)
        && hour < 24
        && minute < 60
        && second <= 60;
    if !in_range || !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let seconds = ((days_since_1970(year, month, day) * 24 + hour) * 60 + minute) * 60 + second;
    let digits = fraction.bytes().chain(std::iter::repeat(b'0')).take(9);
    let nanoseconds = digits.fold(0, |sum: u64, digit| sum * 10 + u64::from(digit - b'0'));
    UNIX_EPOCH.checked_add(Duration::from_secs(seconds) + Duration::from_nanos(nanoseconds))
}

fn numbers(text: &str, separator: char) -> Option<[u64; 3]> {
    let mut parts = text.split(separator).map(|part| {
        let is_number = !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        is_number.then(|| part.parse().ok()).flatten()
    });
    let numbers = [parts.next()??, parts.next()??, parts.next()??];
    parts.next().is_none().then_some(numbers)
}

/// By the proleptic Gregorian calendar, for dates from 1970 on: years begin in March, so that leap days come last.
fn days_since_1970(year: u64, month: u64, day: u64) -> u64 {
    let (year, month) = if month < 3 { (year - 1, month + 9) } else { (year, month - 3) };
    let (era, year_of_era) = (year / 400, year % 400);
    let day_of_year = (153 * month + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    fn milliseconds(text: &str) -> Option<u128> {
        parse(text).map(|time| time.duration_since(UNIX_EPOCH).unwrap().as_millis())
    }

    #[test]
    fn times_as_lambda_writes_them() {
        assert_eq!(milliseconds("1970-01-01T00:00:00Z"), Some(0));
        assert_eq!(milliseconds("2026-11-25T10:00:03.421Z"), Some(1_795_600_803_421));
        assert_eq!(milliseconds("2024-02-29T23:59:59.9999999999Z"), Some(1_709_251_199_999));
        assert_eq!(milliseconds("2000-03-01T00:00:00.5Z"), Some(951_868_800_500));
    }

    #[test]
    fn what_is_no_time() {
        for odd in [
            "",
            "Z",
            "2026-11-25",
            "2026-11-25T10:00:00",
            "2026-13-25T10:00:00Z",
            "2026-11-25T24:00:00Z",
            "1969-12-31T23:59:59Z",
            "99999-11-25T10:00:00Z",
            "+2026-11-25T10:00:00Z",
            "2026-11-25T10:00:00.x1Z",
            "2026-11-25T10:00Z",
        ] {
            assert_eq!(parse(odd), None, "{odd}");
        }
    }
}
