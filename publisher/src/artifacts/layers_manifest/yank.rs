//! The mark of a release that was yanked: it is withdrawn, and nobody is to attach its layers any more.
//!
//! A marked file of the extension's layers has schema 2: the fields of schema 1, which keep their places and meanings,
//! and the mark. A program that reads single fields reads it as before. A publisher that knows only schema 1 refuses
//! the file, and so does not hand out what was withdrawn.

use crate::{
    artifacts::layers_manifest::{LayersManifest, Placement},
    aws::{audience::Audience, partition::RegionName},
    model::variant::Variant,
};
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// The maximum number of characters of a reason. It stands in comments of snippets and in error messages.
const LONGEST_REASON: usize = 200;

/// That a release was yanked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Yanked {
    /// When it was yanked first, as RFC 3339 in UTC.
    pub(crate) at: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<Reason>,
}

/// Why a release was yanked: one line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct Reason(String);

#[derive(Debug, thiserror::Error)]
#[error("a reason is one line of 1 to {LONGEST_REASON} characters")]
pub(crate) struct BadReason;

impl TryFrom<String> for Reason {
    type Error = BadReason;

    fn try_from(text: String) -> Result<Self, BadReason> {
        // U+2028 and U+2029 end a line in JavaScript, and so a comment in a snippet.
        let breaks = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}');
        let good = (1..=LONGEST_REASON).contains(&text.chars().count()) && !text.chars().any(breaks);
        if good { Ok(Self(text)) } else { Err(BadReason) }
    }
}

impl FromStr for Reason {
    type Err = BadReason;

    fn from_str(text: &str) -> Result<Self, BadReason> {
        text.to_owned().try_into()
    }
}

impl From<Reason> for String {
    fn from(reason: Reason) -> Self {
        reason.0
    }
}

impl fmt::Display for Yanked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let day = self.at.split('T').next().unwrap_or_default();
        write!(f, "yanked on {day}")?;
        self.reason.as_ref().map_or(Ok(()), |reason| write!(f, ": {}", reason.0))
    }
}

impl LayersManifest {
    /// Marks the release as yanked. A release that is marked already keeps its date, and gets a new reason if there is
    /// one.
    pub(crate) fn mark_yanked(&mut self, at: String, reason: Option<Reason>) {
        let yanked = self.yanked.get_or_insert(Yanked { at, reason: None });
        if reason.is_some() {
            yanked.reason = reason;
        }
        self.schema = self.schema_of_content();
    }

    /// Removes the mark, if no region's version is withdrawn any more. Returns whether the release has no mark now.
    pub(crate) fn unmark_yanked(&mut self) -> bool {
        let is_withdrawn = |place: &Placement| place.grant_before_yank.is_some();
        if self.all().any(|(_, layer)| layer.regions.values().any(is_withdrawn)) {
            return false;
        }
        self.yanked = None;
        self.schema = self.schema_of_content();
        true
    }

    /// The place of a layer in a region, to be changed.
    pub(crate) fn placement_mut(&mut self, variant: Variant, region: &RegionName) -> Option<&mut Placement> {
        self.layers_mut(variant.kind).get_mut(&variant.arch)?.regions.get_mut(region)
    }
}

impl Placement {
    /// Notes that nobody but the owner may use the version any more, and who might before.
    pub(crate) fn withdraw(&mut self, at: String) {
        if self.grant_before_yank.is_none() {
            self.grant_before_yank = Some(std::mem::replace(&mut self.grant, Audience::of([])));
            self.verified_at = at;
        }
    }

    /// Notes that those may use the version again who might before it was withdrawn.
    pub(crate) fn restore(&mut self, at: String) {
        if let Some(grant) = self.grant_before_yank.take() {
            self.grant = grant;
            self.verified_at = at;
        }
    }

    /// Who may use the version while it is not withdrawn.
    pub(crate) fn grant_unless_yanked(&self) -> &Audience {
        self.grant_before_yank.as_ref().unwrap_or(&self.grant)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::artifacts::layers_manifest::sample;

    #[test]
    fn the_mark_goes_only_when_every_region_is_restored() {
        let mut manifest = sample::full();
        let before = manifest.clone();
        manifest.mark_yanked("2026-11-26T03:00:00Z".to_owned(), Some("it crashes".parse().unwrap()));
        let all: Vec<(Variant, RegionName)> = manifest
            .all()
            .flat_map(|(variant, layer)| layer.regions.keys().map(move |region| (variant, region.clone())))
            .collect();
        for (variant, region) in &all {
            let place = manifest.placement_mut(*variant, region).unwrap();
            // The second time finds nothing left to withdraw, and does not forget who had it.
            place.withdraw("2026-11-26T03:00:01Z".to_owned());
            place.withdraw("2026-11-26T03:00:02Z".to_owned());
            assert_eq!(
                (place.grant.to_string(), place.verified_at.as_str()),
                ("private".to_owned(), "2026-11-26T03:00:01Z")
            );
        }
        assert_eq!(manifest.yanked.as_ref().unwrap().to_string(), "yanked on 2026-11-26: it crashes");
        manifest.mark_yanked("2026-12-01T00:00:00Z".to_owned(), None);
        assert_eq!(manifest.yanked.as_ref().unwrap().to_string(), "yanked on 2026-11-26: it crashes");
        for (variant, region) in &all {
            assert!(!manifest.unmark_yanked());
            let place = manifest.placement_mut(*variant, region).unwrap();
            place.restore("2026-11-23T05:46:48Z".to_owned());
        }
        assert!(manifest.unmark_yanked());
        assert_eq!(manifest, before);
    }

    #[test]
    fn a_reason_is_one_short_line() {
        for bad in ["", "two\nlines", "\u{1b}[31m", "a\u{2028}b", &"x".repeat(201)] {
            assert!(bad.parse::<Reason>().is_err(), "{bad:?}");
        }
        assert!("x".repeat(200).parse::<Reason>().is_ok());
    }
}
