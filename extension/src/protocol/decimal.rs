//! A parser for decimal numbers, used for seconds. The parser of the standard library is exact to the last bit, but it
//! needs tables of 15 KB that do not compress. A duration does not need that precision.

/// Reads a number like `60`, `2.5`, `-.5` or `1e3`. Returns `None` if the text is not a finite number.
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
    // `digits` holds the leading digits as an integer. Each digit of the fraction moves the decimal point, and so does
    // each digit of the whole part for which the integer has no space.
    let mut digits = 0_u64;
    let mut point = exponent.clamp(-400, 400);
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
    let power_of_ten = 10_f64.powi(point.saturating_abs().min(400));
    let magnitude = if point < 0 { digits / power_of_ten } else { digits * power_of_ten };
    Some(if text.starts_with('-') { -magnitude } else { magnitude }).filter(|number| number.is_finite())
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn numbers_are_read_as_by_the_standard_library() {
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
    fn other_texts_are_rejected() {
        for text in
            ["", "-", ".", "e3", "1e", "1e+", "x", "1x", "1.x", "--1", " 1", "1..2", "inf", "nan", "1e999"]
        {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
