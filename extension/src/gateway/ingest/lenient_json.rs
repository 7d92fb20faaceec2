//! Old Python SDKs write `NaN` and `Infinity`, which are not valid JSON. Sentry's Relay reads them as zero, and the
//! extension does the same.

/// Replaces `NaN`, `Infinity` and `-Infinity` outside of strings by zero. The length stays the same.
pub(super) fn replace_non_finite(json: &mut [u8]) {
    let mut at = 0;
    let mut in_string = false;
    while let Some(byte) = json.get(at).copied() {
        let rest = json.get_mut(at..).unwrap_or_default();
        let found = [&b"NaN"[..], b"-Infinity", b"Infinity"].into_iter().find(|word| rest.starts_with(word));
        at += match (in_string, byte, found) {
            (true, b'\\', _) => 2,
            (_, b'"', _) => {
                in_string = !in_string;
                1
            }
            (false, _, Some(word)) => {
                let (number, padding) = rest.split_at_mut(1);
                number.fill(b'0');
                padding.iter_mut().take(word.len() - 1).for_each(|byte| *byte = b' ');
                word.len()
            }
            _ => 1,
        };
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn only_values_outside_of_strings_are_replaced() {
        let mut json = br#"{"NaN":[NaN,-Infinity,Infinity,"\"NaN\\"],"x":"a\\"}"#.to_vec();
        super::replace_non_finite(&mut json);
        let value: serde_json::Value = serde_json::from_slice(&json).unwrap();
        assert_eq!(value, serde_json::json!({"NaN": [0, 0, 0, "\"NaN\\"], "x": "a\\"}));
    }
}
