//! Which functions a command means: patterns of names, and tags.

use std::{fmt, str::FromStr};
use wildmatch::WildMatch;

/// A pattern of function names like `orders-*`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NamePattern(String);

/// A tag that a function must have, with any value if none is given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TagFilter {
    pub(crate) key: String,
    pub(crate) value: Option<String>,
}

/// The text selects no functions.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadSelection {
    #[error("`{0}` is not a pattern of names: letters, digits, `-`, `_`, and `*` and `?` for others")]
    Pattern(String),
    #[error("`{0}` is not a tag: KEY=VALUE, or KEY alone for any value")]
    Tag(String),
}

impl NamePattern {
    /// Whether the pattern matches this name. Unlike a name on the command line, a pattern tells upper case from lower.
    pub(crate) fn matches(&self, name: &str) -> bool {
        WildMatch::new(&self.0).matches(name)
    }
}

impl fmt::Display for NamePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for NamePattern {
    type Err = BadSelection;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || "-_*?".contains(c);
        let is_good = !text.is_empty() && text.chars().all(allowed);
        if is_good { Ok(Self(text.to_owned())) } else { Err(BadSelection::Pattern(text.to_owned())) }
    }
}

impl fmt::Display for TagFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.value {
            Some(value) => write!(f, "{}={value}", self.key),
            None => f.write_str(&self.key),
        }
    }
}

impl FromStr for TagFilter {
    type Err = BadSelection;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (key, value) = text.split_once('=').map_or((text, None), |(key, value)| (key, Some(value)));
        if key.is_empty() || key.len() > 128 {
            return Err(BadSelection::Tag(text.to_owned()));
        }
        Ok(Self { key: key.to_owned(), value: value.map(str::to_owned) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_and_tags_are_parsed() {
        let pattern: NamePattern = "orders-*".parse().unwrap();
        assert!(pattern.matches("orders-7") && !pattern.matches("my-orders-7"));
        for bad in ["", "a b", "orders:*"] {
            assert!(bad.parse::<NamePattern>().is_err(), "{bad}");
        }
        let tag = |text: &str| text.parse::<TagFilter>().map(|tag| (tag.key, tag.value));
        assert_eq!(tag("a=b=c"), Ok(("a".to_owned(), Some("b=c".to_owned()))));
        assert_eq!(tag("a"), Ok(("a".to_owned(), None)));
        assert_eq!(tag("a="), Ok(("a".to_owned(), Some(String::new()))));
        assert!(tag("=b").is_err() && tag("").is_err());
    }
}
