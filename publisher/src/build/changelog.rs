//! Reads the section of a version in `CHANGELOG.md`: whether the version is released.

/// The state of a version's section, in the format of Keep a Changelog.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum ChangelogSection<'a> {
    /// The heading has a date: `## [1.2.3] - 2026-11-23`.
    Released,
    /// The section exists, but this text stands where the date should be.
    Undated(&'a str),
    Missing,
}

/// Looks for the section of a version.
pub(crate) fn section<'a>(changelog: &'a str, version: &str) -> ChangelogSection<'a> {
    let heading = |line: &'a str| {
        let (name, rest) = line.strip_prefix("## [")?.split_once(']')?;
        (name == version).then(|| rest.trim())
    };
    match changelog.lines().find_map(heading) {
        None => ChangelogSection::Missing,
        Some(rest) => match rest.strip_prefix('-').map(str::trim) {
            Some(date) if is_date(date) => ChangelogSection::Released,
            other => ChangelogSection::Undated(other.unwrap_or(rest)),
        },
    }
}

/// The heading of a version that is released on this day. `day` is a date such as `2026-11-23`, or a time of that
/// date.
pub(crate) fn heading(version: &str, day: &str) -> String {
    format!("## [{version}] - {}", day.get(..10).unwrap_or(day))
}

fn is_date(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let &[year, month, day] = parts.as_slice() else { return false };
    let number = |text: &str, length: usize| {
        let digits = text.len() == length && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse::<u32>().ok().filter(|_| digits)
    };
    let in_range = |number: Option<u32>, most| number.is_some_and(|number| (1..=most).contains(&number));
    number(year, 4).is_some() && in_range(number(month, 2), 12) && in_range(number(day, 2), 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHANGELOG: &str = "# Changelog\n\n## [Unreleased]\n\n## [1.2.0] - unreleased\n\n### Added\n\n\
        ## [1.1.10] - 2026-11-23\r\n\n## [1.1.1]\n## [1.1.0] - 2026-13-01\n## [1.0.0] - 2026-1-1\n\
        ## [0.9.0] 2026-01-01\n## [0.8.0] - 2026-01-01 [YANKED]\nWhat came with 0.7.0\n";

    #[test]
    fn only_a_section_with_a_date_is_released() {
        let of = |version| section(CHANGELOG, version);
        assert_eq!(of("1.1.10"), ChangelogSection::Released);
        assert_eq!(of("1.2.0"), ChangelogSection::Undated("unreleased"));
        assert_eq!(of("1.1.1"), ChangelogSection::Undated(""));
        assert_eq!(of("1.1.0"), ChangelogSection::Undated("2026-13-01"));
        assert_eq!(of("1.0.0"), ChangelogSection::Undated("2026-1-1"));
        assert_eq!(of("0.9.0"), ChangelogSection::Undated("2026-01-01"));
        assert_eq!(of("0.8.0"), ChangelogSection::Undated("2026-01-01 [YANKED]"));
        for version in ["0.7.0", "1.1", "1.1.1.", "2026-11-23"] {
            assert_eq!(of(version), ChangelogSection::Missing, "{version}");
        }
        let released = heading("1.2.0", "2026-11-23T06:05:43Z");
        assert_eq!(section(&released, "1.2.0"), ChangelogSection::Released, "{released}");
    }
}
