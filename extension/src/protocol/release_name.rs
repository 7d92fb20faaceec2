//! The names of releases and environments that Sentry accepts. It drops any other name, and marks the event as faulty.
//! A check-in in an environment that it does not accept is dropped as a whole.

/// Whether Sentry accepts the name of a release.
pub(crate) fn is_release(name: &str) -> bool {
    is_name(name, 200) && !name.eq_ignore_ascii_case("latest")
}

/// Whether Sentry accepts the name of an environment.
pub(crate) fn is_environment(name: &str) -> bool {
    is_name(name, 64) && !name.eq_ignore_ascii_case("none")
}

fn is_name(name: &str, most_bytes: usize) -> bool {
    let is_allowed = |b: u8| !b.is_ascii_control() && b != b'/' && b != b'\\';
    !name.is_empty()
        && name.len() <= most_bytes
        && name.trim() == name
        && !matches!(name, "." | "..")
        && name.bytes().all(is_allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What Sentry's own normaliser says to these names.
    #[test]
    fn names_that_sentry_accepts() {
        let long = |count| "x".repeat(count);
        for name in ["shop@1.4.2", "dev@1.0+b", "...", "a b", "null", "-", &long(64), &"é".repeat(32)] {
            assert!(is_release(name) && is_environment(name), "{name}");
        }
        assert!(is_release(&long(200)) && is_release(&"é".repeat(100)) && is_release("none"));
        assert!(is_environment("latest"));
        for name in
            ["", " ", " a", "a ", ".", "..", "a/b", "a\\b", "a\nb", "a\tb", "\u{7f}", "\u{a0}", &long(201)]
        {
            assert!(!is_release(name) && !is_environment(name), "{name:?}");
        }
        assert!(!is_release(&"é".repeat(101)) && !is_release("Latest"));
        assert!(!is_environment(&long(65)) && !is_environment(&"é".repeat(33)) && !is_environment("None"));
    }
}
