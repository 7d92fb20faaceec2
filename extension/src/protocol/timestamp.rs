//! Reads and writes times as RFC 3339 text, as envelope headers and Lambda's records contain them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

const DAY: u64 = 86_400;

/// Writes a time like `2026-11-25T10:00:03.421000Z`. A time before 1970 is written as 1970.
pub fn format(time: SystemTime) -> String {
    let since_epoch = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    let (days, second) = (since_epoch.as_secs() / DAY, since_epoch.as_secs() % DAY);
    let (year, month, day) = date(days);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    let micros = since_epoch.subsec_micros();
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{micros:06}Z")
}

/// Reads a time like `2026-11-25T10:00:03.421Z`, with any number of decimals and any offset. Returns `None` if the text
/// is not such a time, or if the time is before 1970.
pub fn parse(text: &str) -> Option<SystemTime> {
    let (head, rest) = text.split_at_checked(19)?;
    let &[y1, y2, y3, y4, b'-', mo1, mo2, b'-', d1, d2, b'T' | b't' | b' ', ref time @ ..] = head.as_bytes()
    else {
        return None;
    };
    let &[h1, h2, b':', mi1, mi2, b':', s1, s2] = time else { return None };
    let year = number(y1, y2)? * 100 + number(y3, y4)?;
    let (month, day) = (number(mo1, mo2)?, number(d1, d2)?);
    let (hour, minute, second) = (number(h1, h2)?, number(mi1, mi2)?, number(s1, s2)?);
    if year < 1970 || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    // A leap second counts as the first of the next minute.
    if hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let (nanos, zone) = fraction(rest)?;
    let local = days(year, month, day) * DAY + hour * 3600 + minute * 60 + second;
    let seconds = local.checked_add_signed(-offset(zone)?)?;
    UNIX_EPOCH.checked_add(Duration::new(seconds, nanos))
}

/// Reads a number of two digits.
fn number(tens: u8, ones: u8) -> Option<u64> {
    let is_number = tens.is_ascii_digit() && ones.is_ascii_digit();
    is_number.then(|| u64::from(tens - b'0') * 10 + u64::from(ones - b'0'))
}

/// Splits decimals of a second, if there are any, from the zone.
fn fraction(text: &str) -> Option<(u32, &str)> {
    let Some(decimals) = text.strip_prefix('.') else { return Some((0, text)) };
    let (mut nanos, mut unit, mut end) = (0, 100_000_000, 0);
    for byte in decimals.bytes().take_while(u8::is_ascii_digit) {
        // What is less than a nanosecond is left out.
        nanos += u32::from(byte - b'0') * unit;
        unit /= 10;
        end += 1;
    }
    (end > 0).then_some((nanos, decimals.get(end..)?))
}

/// Reads the offset from UTC, and returns it in seconds.
fn offset(zone: &str) -> Option<i64> {
    if zone.eq_ignore_ascii_case("Z") {
        return Some(0);
    }
    let (sign, zone) = match zone.split_at_checked(1)? {
        ("+", zone) => (1, zone),
        ("-", zone) => (-1, zone),
        _ => return None,
    };
    let (hours, minutes) = zone.split_once(':')?;
    let two_digits = |text: &str| text.len() == 2 && text.bytes().all(|b| b.is_ascii_digit());
    if !two_digits(hours) || !two_digits(minutes) {
        return None;
    }
    let (hours, minutes) = (hours.parse::<i64>().ok()?, minutes.parse::<i64>().ok()?);
    (hours < 24 && minutes < 60).then_some(sign * (hours * 3600 + minutes * 60))
}

/// Returns the days from 1970-01-01 to a date of the Gregorian calendar. The year begins in March here, so that the
/// leap day is its last day.
fn days(year: u64, month: u64, day: u64) -> u64 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let of_year = (153 * month + 2) / 5 + day - 1;
    year * 365 + year / 4 - year / 100 + year / 400 + of_year - EPOCH
}

/// Days from 0000-03-01 to 1970-01-01.
const EPOCH: u64 = 719_468;
/// Days in 400 years.
const ERA: u64 = 146_097;

/// Returns year, month and day for a number of days since 1970-01-01. It is the inverse of `days`.
fn date(days: u64) -> (u64, u64, u64) {
    let days = days + EPOCH;
    let (era, of_era) = (days / ERA, days % ERA);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let year = era * 400 + year;
    if month < 10 { (year, month + 3, day) } else { (year + 1, month - 9, day) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_spelling() {
        let at = |millis| Some(UNIX_EPOCH + Duration::from_millis(millis));
        for (text, time) in [
            ("1970-01-01T00:00:00Z", at(0)),
            ("2026-11-25T10:00:03.421Z", at(1_795_600_803_421)),
            ("2026-11-25T10:00:03.421000000001+00:00", at(1_795_600_803_421)),
            ("2026-11-25t12:30:03.421+02:30", at(1_795_600_803_421)),
            ("2026-11-25 02:00:03.421-08:00", at(1_795_600_803_421)),
            ("2024-02-29T23:59:60z", at(1_709_251_200_000)),
            ("2000-02-29T00:00:00Z", at(951_782_400_000)),
            ("2000-03-01T00:00:00.5Z", at(951_868_800_500)),
        ] {
            assert_eq!(parse(text), time, "{text}");
        }
    }

    #[test]
    fn what_is_no_time() {
        for text in [
            "",
            "2026-11-25",
            "2026-11-25T10:00:03",
            "2026-11-25T10:00:03.Z",
            "2026-11-25T10:00:03.4",
            "2026-13-25T10:00:03Z",
            "2026-11-25T24:00:03Z",
            "2026-11-25T10:00:03+2:00",
            "+026-11-25T10:00:03Z",
            "1969-12-31T23:59:59Z",
            "1970-01-01T00:00:00+01:00",
            "99999-11-25T10:00:00Z",
            "1999-1-1-1T10:00:00Z",
            "2026-11-25T1:1:1:11Z",
            "2026-11-25T10:00:00.x1Z",
            "2026-11-25T10:00Z",
            "äää-11-25T10:00:03Z",
            "1795600803",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn what_is_written_reads_as_the_same(micros in 0..253_402_300_800_000_000_u64) {
            let time = UNIX_EPOCH + Duration::from_micros(micros);
            prop_assert_eq!(parse(&format(time)), Some(time));
        }

        #[test]
        fn any_text_is_read_without_a_panic(text in ".{0,40}") {
            let _ = parse(&text);
        }
    }
}
