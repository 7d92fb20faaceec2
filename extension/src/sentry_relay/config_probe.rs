//! Finds single values in the text of a `config.yml`. It does not parse YAML, because a parser would make the extension
//! larger for every function.

/// Returns the first value of this name, in block or flow style, quoted or not. Comments are ignored.
pub(super) fn value<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines().find_map(|line| {
        let line = line.split_once('#').map_or(line, |(setting, _)| setting);
        line.match_indices(name).find_map(|(at, _)| {
            let (before, rest) = line.split_at_checked(at)?;
            let begins = !before.ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == '-');
            let rest = rest.get(name.len()..)?.trim_start_matches(['"', '\'']).trim_start();
            let value = rest.strip_prefix(':').filter(|_| begins)?;
            Some(value.split([',', '}']).next()?.trim().trim_matches(['"', '\'']))
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_found_in_block_and_flow_style() {
        for (text, found) in [
            ("relay:\n  mode: managed\n", Some("managed")),
            ("relay: {host: x, mode: static}", Some("static")),
            (r#"{"relay": {"mode" : "managed", "port": 1}}"#, Some("managed")),
            ("mode:", Some("")),
            ("# mode: proxy\nlog_mode: x\nmodes: y\nsafe-mode: z\n", None),
            ("relay:\n  host: x # mode: proxy", None),
            ("", None),
        ] {
            assert_eq!(value(text, "mode"), found, "{text}");
        }
        assert_eq!(value("limits: {max_concurrent_requests: 1}", "max_concurrent_requests"), Some("1"));
    }
}
