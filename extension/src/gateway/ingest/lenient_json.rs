//! Old Python SDKs wrote `NaN` and `Infinity`, which are no JSON; Relay reads them as zero, and so do we.

/// Replaces them in place, outside of strings.
pub(super) fn mend(json: &mut [u8]) {
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
                let (number, blanks) = rest.split_at_mut(1);
                number.fill(b'0');
                blanks.iter_mut().take(word.len() - 1).for_each(|blank| *blank = b' ');
                word.len()
            }
            _ => 1,
        };
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn only_what_stands_for_a_number() {
        let mut json = br#"{"NaN":[NaN,-Infinity,Infinity,"\"NaN\\"],"x":"a\\"}"#.to_vec();
        super::mend(&mut json);
        let value: serde_json::Value = serde_json::from_slice(&json).unwrap();
        assert_eq!(value, serde_json::json!({"NaN": [0, 0, 0, "\"NaN\\"], "x": "a\\"}));
    }
}
