//! Recognizes layers whose names contain the release, and orders them by release.

use crate::model::{layer_arch::LayerArch, layer_name, variant::LayerKind};
use std::fmt;

/// The pattern of the names that a layer has in its releases.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NamePattern {
    parts: Vec<PatternPart>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum PatternPart {
    Literal(String),
    /// The number of this index: 0 is major, 1 is minor, 2 is patch.
    Number(usize),
    /// The optional prerelease and build metadata after the numbers.
    Tail,
}

/// A release as a layer's name states it. The greatest one is the newest.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ReleaseOrder {
    numbers: [u64; 3],
    /// False for a prerelease, which is less than the final release.
    is_final: bool,
    tail: Vec<TailWord>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum TailWord {
    Number(u64),
    Text(String),
}

impl NamePattern {
    /// The pattern for the style in which every release is a separate layer.
    pub(crate) fn of_release(kind: LayerKind, arch: LayerArch) -> Self {
        let prefix = format!("{}-", layer_name::default_template(kind).replace("{arch}", arch.name()));
        let separator = || PatternPart::Literal("_".to_owned());
        let numbers = [
            PatternPart::Number(0),
            separator(),
            PatternPart::Number(1),
            separator(),
            PatternPart::Number(2),
            PatternPart::Tail,
        ];
        Self { parts: std::iter::once(PatternPart::Literal(prefix)).chain(numbers).collect() }
    }

    /// The pattern of a template. The caller has checked that the template gives valid names.
    pub(crate) fn of_template(template: &str, arch: LayerArch) -> Self {
        let mut parts = Vec::new();
        let mut rest = template;
        while let Some((before, (key, remainder))) =
            rest.split_once('{').and_then(|(before, after)| Some((before, after.split_once('}')?)))
        {
            parts.push(PatternPart::Literal(before.to_owned()));
            parts.push(match key {
                "major" => PatternPart::Number(0),
                "minor" => PatternPart::Number(1),
                "patch" => PatternPart::Number(2),
                _ => PatternPart::Literal(arch.name().to_owned()),
            });
            rest = remainder;
        }
        parts.push(PatternPart::Literal(rest.to_owned()));
        Self { parts }
    }

    /// The release that a name states, or `None` if the name does not match.
    pub(crate) fn release(&self, name: &str) -> Option<ReleaseOrder> {
        let mut release = ReleaseOrder { is_final: true, ..ReleaseOrder::default() };
        let mut rest = name;
        for part in &self.parts {
            match part {
                PatternPart::Literal(text) => rest = rest.strip_prefix(text.as_str())?,
                PatternPart::Number(place) => {
                    let length = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
                    let (number, remainder) = rest.split_at(length);
                    *release.numbers.get_mut(*place)? = number.parse().ok()?;
                    rest = remainder;
                }
                PatternPart::Tail => {
                    let tail = std::mem::take(&mut rest);
                    // In a layer's name, `_` replaces the `+` and `.` of a version.
                    if !tail.is_empty() && !tail.starts_with(['-', '_']) {
                        return None;
                    }
                    release.is_final = !tail.starts_with('-');
                    release.tail = words(tail);
                }
            }
        }
        rest.is_empty().then_some(release)
    }
}

fn words(tail: &str) -> Vec<TailWord> {
    let words = tail.split(['-', '_']).filter(|word| !word.is_empty());
    words
        .map(|word| word.parse().map_or_else(|_| TailWord::Text(word.to_owned()), TailWord::Number))
        .collect()
}

impl fmt::Display for NamePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.parts.iter().try_for_each(|part| match part {
            PatternPart::Literal(text) => f.write_str(text),
            PatternPart::Number(_) | PatternPart::Tail => f.write_str("*"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_are_recognized_and_ordered_by_their_names() {
        let pattern = NamePattern::of_release(LayerKind::Plain, LayerArch::Arm64);
        let release = |version: &str| {
            let name = layer_name::release_template(LayerKind::Plain, version).replace("{arch}", "arm64");
            pattern.release(&name).unwrap_or_else(|| panic!("{name}"))
        };
        let ascending = [
            "0.9.10",
            "0.10.0",
            "1.0.0-rc.1",
            "1.0.0-rc.2",
            "1.0.0-rc.10",
            "1.0.0-rc.x",
            "1.0.0",
            "1.0.0+b.5",
            "1.0.1",
            "1.10.0",
            "10.0.0",
        ];
        for pair in ascending.windows(2) {
            assert!(release(pair[0]) < release(pair[1]), "{pair:?}");
        }
    }

    #[test]
    fn other_names_do_not_match() {
        let pattern = NamePattern::of_release(LayerKind::Plain, LayerArch::Arm64);
        for name in [
            "SentryLambdaExtension-arm64",
            "SentryLambdaExtension-arm64-1_2",
            "SentryLambdaExtension-arm64-1_2_x",
            "SentryLambdaExtension-arm64-1_2_3x",
            "SentryLambdaExtension-x86_64-1_2_3",
            "SentryLambdaExtensionRelay-arm64-1_2_3",
            "My-SentryLambdaExtension-arm64-1_2_3",
            "SentryLambdaExtension-arm64-99999999999999999999_2_3",
        ] {
            assert_eq!(pattern.release(name), None, "{name}");
        }
        assert!(pattern.release("SentryLambdaExtension-arm64-1_2_3").is_some());
    }

    #[test]
    fn a_template_gives_a_pattern() {
        let pattern = NamePattern::of_template("Team-{major}_{minor}-{arch}", LayerArch::X86_64);
        assert_eq!(pattern.to_string(), "Team-*_*-x86_64");
        assert!(pattern.release("Team-1_2-x86_64") < pattern.release("Team-1_10-x86_64"));
        for name in ["Team-1_2-arm64", "Team-1_2-x86_64-relay", "Team-1-x86_64"] {
            assert_eq!(pattern.release(name), None, "{name}");
        }
    }
}
