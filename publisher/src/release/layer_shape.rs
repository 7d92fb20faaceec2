//! Layers whose names hold the release: telling by its name which release a layer is of.

use super::{kind::LayerKind, layer_name};
use crate::arch::Arch;
use std::fmt;

/// What the names of a layer's releases look like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shape {
    parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Literal(String),
    /// Major, minor or patch.
    Number(usize),
    /// What a version may have behind its numbers.
    Tail,
}

/// A release as a layer's name has it: the greatest is the newest.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Release {
    numbers: [u64; 3],
    /// What comes before the real one is less than it.
    is_final: bool,
    tail: Vec<Word>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Word {
    Number(u64),
    Text(String),
}

impl Shape {
    /// Of the style in which each release is a layer of its own.
    pub fn of_release(kind: LayerKind, arch: Arch) -> Self {
        let before = format!("{}-", layer_name::usual(kind).replace("{arch}", arch.name()));
        let between = || Part::Literal("_".to_owned());
        let numbers = [Part::Number(0), between(), Part::Number(1), between(), Part::Number(2), Part::Tail];
        Self { parts: std::iter::once(Part::Literal(before)).chain(numbers).collect() }
    }

    /// Of a template that makes good names: others were refused before.
    pub fn of_template(template: &str, arch: Arch) -> Self {
        let mut parts = Vec::new();
        let mut rest = template;
        while let Some((before, (key, behind))) =
            rest.split_once('{').and_then(|(before, after)| Some((before, after.split_once('}')?)))
        {
            parts.push(Part::Literal(before.to_owned()));
            parts.push(match key {
                "major" => Part::Number(0),
                "minor" => Part::Number(1),
                "patch" => Part::Number(2),
                _ => Part::Literal(arch.name().to_owned()),
            });
            rest = behind;
        }
        parts.push(Part::Literal(rest.to_owned()));
        Self { parts }
    }

    /// The release that a name is of; none if it is not of this shape.
    pub fn release(&self, name: &str) -> Option<Release> {
        let mut release = Release { is_final: true, ..Release::default() };
        let mut rest = name;
        for part in &self.parts {
            match part {
                Part::Literal(text) => rest = rest.strip_prefix(text.as_str())?,
                Part::Number(place) => {
                    let length = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
                    let (number, behind) = rest.split_at(length);
                    *release.numbers.get_mut(*place)? = number.parse().ok()?;
                    rest = behind;
                }
                Part::Tail => {
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

fn words(tail: &str) -> Vec<Word> {
    let words = tail.split(['-', '_']).filter(|word| !word.is_empty());
    words.map(|word| word.parse().map_or_else(|_| Word::Text(word.to_owned()), Word::Number)).collect()
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.parts.iter().try_for_each(|part| match part {
            Part::Literal(text) => f.write_str(text),
            Part::Number(_) | Part::Tail => f.write_str("*"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_are_told_and_ordered_by_their_names() {
        let shape = Shape::of_release(LayerKind::Plain, Arch::Arm64);
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
        let shape = Shape::of_release(LayerKind::Plain, Arch::Arm64);
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
        let shape = Shape::of_template("Team-{major}_{minor}-{arch}", Arch::X86_64);
        assert_eq!(shape.to_string(), "Team-*_*-x86_64");
        assert!(shape.release("Team-1_2-x86_64") < shape.release("Team-1_10-x86_64"));
        for name in ["Team-1_2-arm64", "Team-1_2-x86_64-relay", "Team-1-x86_64"] {
            assert_eq!(shape.release(name), None, "{name}");
        }
    }
}
