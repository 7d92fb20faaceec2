//! Parses sizes, durations and switches as people write them in settings.

use std::time::Duration;

/// Parses a size into bytes, such as `16MiB`, `16MB`, `16M`, `512KiB` or `65536`. Decimal units mean the same as binary
/// ones, because the difference does not matter for a bound.
pub(super) fn size(text: &str) -> Option<usize> {
    let (number, unit) = split(text)?;
    let factor = match unit.to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kb" | "kib" => 1 << 10,
        "m" | "mb" | "mib" => 1 << 20,
        "g" | "gb" | "gib" => 1 << 30,
        _ => return None,
    };
    usize::try_from(number).ok()?.checked_mul(factor)
}

/// Parses a duration such as `2s`, `1500ms` or `2`, which means seconds.
pub(super) fn duration(text: &str) -> Option<Duration> {
    let (number, unit) = split(text)?;
    match unit.to_ascii_lowercase().as_str() {
        "ms" => Some(Duration::from_millis(number)),
        "" | "s" => Some(Duration::from_secs(number)),
        _ => None,
    }
}

/// Parses `true` or `false`, or another word for one of them.
pub(super) fn flag(text: &str) -> Option<bool> {
    match text.trim().to_ascii_lowercase().as_str() {
        "true" | "1" | "on" | "yes" => Some(true),
        "false" | "0" | "off" | "no" => Some(false),
        _ => None,
    }
}

fn split(text: &str) -> Option<(u64, &str)> {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at_checked(end)?;
    Some((number.parse().ok()?, unit.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        assert_eq!(size("16MiB"), Some(16 << 20));
        assert_eq!(size(" 16 mb "), Some(16 << 20));
        assert_eq!(size("512k"), Some(512 << 10));
        assert_eq!(size("65536"), Some(65_536));
        for odd in ["", "MiB", "-1", "1.5MiB", "1TiB", "99999999999999999999", "18446744073709551615GiB"] {
            assert_eq!(size(odd), None, "{odd}");
        }
    }

    #[test]
    fn flags() {
        for (text, value) in [("true", true), (" On ", true), ("1", true), ("FALSE", false), ("no", false)] {
            assert_eq!(flag(text), Some(value), "{text}");
        }
        assert_eq!(flag("maybe"), None);
    }

    #[test]
    fn durations() {
        assert_eq!(duration("2s"), Some(Duration::from_secs(2)));
        assert_eq!(duration("1500ms"), Some(Duration::from_millis(1500)));
        assert_eq!(duration("3"), Some(Duration::from_secs(3)));
        for odd in ["", "s", "2m", "-2s", "1.5s"] {
            assert_eq!(duration(odd), None, "{odd}");
        }
    }
}
