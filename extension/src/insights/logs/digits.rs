//! Writes whole numbers without the formatter of the standard library, which costs some hundred instructions.

/// Writes a number.
pub(super) fn push(out: &mut Vec<u8>, mut number: u64) {
    let mut digits = [b'0'; 20];
    let mut start = digits.len();
    for digit in digits.iter_mut().rev() {
        *digit = last_digit(number);
        start -= 1;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    out.extend_from_slice(digits.get(start..).unwrap_or_default());
}

/// The last digit of a number.
pub(super) fn last_digit(number: u64) -> u8 {
    b'0' + u8::try_from(number % 10).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_length() {
        let mut numbers = vec![0, u64::MAX];
        numbers.extend((0..20).flat_map(|length| [10_u64.pow(length), 10_u64.pow(length) - 1]));
        for number in numbers {
            let mut out = b"=".to_vec();
            push(&mut out, number);
            assert_eq!(String::from_utf8(out).unwrap(), format!("={number}"));
        }
    }
}
