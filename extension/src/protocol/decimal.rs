//! Decimal numbers as seconds are written. The standard library's parser is exact to the last bit, by means of
//! 15 KB that no zip makes smaller; a duration does not need it.

/// Reads `60`, `2.5`, `-.5`, `1e3`; `None` where it is no finite number.
pub(crate) fn parse(text: &str) -> Option<f64> {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
        None => (unsigned, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    // Each digit of the fraction, and each that an integer has no room for, moves the point.
    let (mut digits, mut point) = (0_u64, exponent.clamp(-400, 400));
    for (digit, is_fraction) in whole.bytes().map(|b| (b, false)).chain(fraction.bytes().map(|b| (b, true))) {
        let digit = char::from(digit).to_digit(10)?;
        match digits.checked_mul(10).and_then(|more| more.checked_add(u64::from(digit))) {
            Some(more) => {
                digits = more;
                point -= i32::from(is_fraction);
            }
            None => point += i32::from(!is_fraction),
        }
    }
    if digits == 0 {
        return Some(0.0);
    }
    #[expect(clippy::cast_precision_loss, reason = "15 digits are more than any duration has")]
    let digits = digits as f64;
    let ten = 10_f64.powi(point.saturating_abs().min(400));
    let size = if point < 0 { digits / ten } else { digits * ten };
    Some(if text.starts_with('-') { -size } else { size }).filter(|number| number.is_finite())
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn as_the_standard_library_reads_them() {
        for text in [
            "0",
            "60",
            "2.5",
            "-2.5",
            "+7",
            ".5",
            "5.",
            "1e3",
            "1.25E-2",
            "0.1",
            "3600.001",
            "18446744073709551616",
            "99999999999999999999.5",
            "1e-500",
            "0e999999999",
        ] {
            let (ours, exact) = (parse(text).unwrap(), text.parse::<f64>().unwrap());
            assert!((ours - exact).abs() <= exact.abs() * 1e-15, "{text}: {ours}");
        }
    }

    #[test]
    fn what_is_no_number() {
        for text in
            ["", "-", ".", "e3", "1e", "1e+", "x", "1x", "1.x", "--1", " 1", "1..2", "inf", "nan", "1e999"]
        {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
