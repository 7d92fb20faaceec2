//! Layers whose names hold the release: telling by its name which release a layer is of.

use crate::model::{arch::Arch, layer_name, variant::LayerKind};
use std::fmt;

/// What the names of a layer's releases look like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NamePattern {
    parts: Vec<PatternPart>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum PatternPart {
    Literal(String),
    /// Major, minor or patch.
    Number(usize),
    /// What a version may have behind its numbers.
    Tail,
}

/// A release as a layer's name has it: the greatest is the newest.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ReleaseOrder {
    numbers: [u64; 3],
    /// What comes before the real one is less than it.
    is_final: bool,
    tail: Vec<TailWord>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum TailWord {
    Number(u64),
    Text(String),
}

impl NamePattern {
    /// Of the style in which each release is a layer of its own.
    pub(crate) fn of_release(kind: LayerKind, arch: Arch) -> Self {
        let before = format!("{}-", layer_name::usual(kind).replace("{arch}", arch.name()));
        let between = || PatternPart::Literal("_".to_owned());
        let numbers = [
            PatternPart::Number(0),
            between(),
            PatternPart::Number(1),
            between(),
            PatternPart::Number(2),
            PatternPart::Tail,
        ];
        Self { parts: std::iter::once(PatternPart::Literal(before)).chain(numbers).collect() }
    }

    /// Of a template that makes good names: others were refused before.
    pub(crate) fn of_template(template: &str, arch: Arch) -> Self {
        let mut parts = Vec::new();
        let mut rest = template;
        while let Some((before, (key, behind))) =
            rest.split_once('{').and_then(|(before, after)| Some((before, after.split_once('}')?)))
        {
            parts.push(PatternPart::Literal(before.to_owned()));
            parts.push(match key {
                "major" => PatternPart::Number(0),
                "minor" => PatternPart::Number(1),
                "patch" => PatternPart::Number(2),
                _ => PatternPart::Literal(arch.name().to_owned()),
            });
            rest = behind;
        }
        parts.push(PatternPart::Literal(rest.to_owned()));
        Self { parts }
    }

    /// The release that a name is of; none if it is not of this shape.
    pub(crate) fn release(&self, name: &str) -> Option<ReleaseOrder> {
        let mut release = ReleaseOrder { is_final: true, ..ReleaseOrder::default() };
        let mut rest = name;
        for part in &self.parts {
            match part {
                PatternPart::Literal(text) => rest = rest.strip_prefix(text.as_str())?,
                PatternPart::Number(place) => {
                    let length = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
                    let (number, behind) = rest.split_at(length);
                    *release.numbers.get_mut(*place)? = number.parse().ok()?;
                    rest = behind;
                }
                PatternPart::Tail => {
                    let tail = std::mem::take(&mut rest);
                    // In a layer's name, `+` and `.` of a version are `_`.
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
    fn releases_are_told_and_ordered_by_their_names() {
        let shape = NamePattern::of_release(LayerKind::Plain, Arch::Arm64);
        let release = |version: &str| {
            let name = layer_name::of_release(LayerKind::Plain, version).replace("{arch}", "arm64");
            shape.release(&name).unwrap_or_else(|| panic!("{name}"))
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
    fn other_names_are_nobodys_release() {
        let shape = NamePattern::of_release(LayerKind::Plain, Arch::Arm64);
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
            assert_eq!(shape.release(name), None, "{name}");
        }
        assert!(shape.release("SentryLambdaExtension-arm64-1_2_3").is_some());
    }

    #[test]
    fn a_template_has_a_shape_too() {
        let shape = NamePattern::of_template("Team-{major}_{minor}-{arch}", Arch::X86_64);
        assert_eq!(shape.to_string(), "Team-*_*-x86_64");
        assert!(shape.release("Team-1_2-x86_64") < shape.release("Team-1_10-x86_64"));
        for name in ["Team-1_2-arm64", "Team-1_2-x86_64-relay", "Team-1-x86_64"] {
            assert_eq!(shape.release(name), None, "{name}");
        }
    }
}
