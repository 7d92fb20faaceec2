//! What is wanted against what is there: pure decisions, for one region and architecture.

use super::{digest::Digest, layer_name::LayerName};
use crate::{
    arch::Arch,
    aws::{layers::Version, policy::Grant},
};
use serde::Serialize;

/// The licence of every layer, as SPDX spells it.
pub const LICENSE: &str = "BSD-3-Clause";

/// A layer version as it should be.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// Of the binary inside.
    pub arch: Arch,
    /// The layer.
    pub layer: LayerName,
    /// Of the zip.
    pub digest: Digest,
    /// Of the zip.
    pub size: u64,
}

/// What a region and architecture needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// The bytes are not there.
    Publish,
    /// The bytes are there, but not for everybody.
    Grant,
    /// All is there: it is adopted as it is.
    Adopt,
}

/// One thing that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// Which property.
    pub what: &'static str,
    /// As it should be.
    pub expected: String,
    /// As it is.
    pub found: String,
}

impl std::fmt::Display for Difference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} is {}, expected {}", self.what, self.found, self.expected)
    }
}

impl Wanted {
    /// Whether a description may be that of these bytes: worth a closer look.
    pub fn may_be(&self, description: &str) -> bool {
        description.contains(&self.digest.short())
    }

    /// What cannot be mended in a version that exists; none: it can be adopted.
    pub fn fixed_differences(&self, found: &Version) -> Vec<Difference> {
        let mut all = Vec::new();
        let mut compare = |what, expected: String, found: String| {
            if expected != found {
                all.push(Difference { what, expected, found });
            }
        };
        compare("CodeSha256", self.digest.base64(), found.code_sha256.clone());
        compare("CodeSize", self.size.to_string(), found.size.to_string());
        compare("CompatibleArchitectures", self.arch.name().to_owned(), found.architectures.join(" "));
        compare("LicenseInfo", LICENSE.to_owned(), found.license.clone());
        if !self.may_be(&found.description) {
            let expected = format!("one with {}", self.digest.short());
            compare("Description", expected, found.description.clone());
        }
        all
    }

    /// Everything that is not as it should be, the permission included.
    pub fn differences(&self, found: &Version) -> Vec<Difference> {
        let mut all = self.fixed_differences(found);
        if found.grant != Grant::Public {
            let (expected, found) = (Grant::Public.to_string(), found.grant.to_string());
            all.push(Difference { what: "permission", expected, found });
        }
        all
    }

    /// What to do where this was found. (What cannot be adopted counts as not found.)
    pub fn action(&self, found: Option<&Version>) -> Action {
        match found {
            Some(version) if self.fixed_differences(version).is_empty() => match version.grant {
                Grant::Public => Action::Adopt,
                Grant::Missing | Grant::Other(_) => Action::Grant,
            },
            _ => Action::Publish,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted() -> Wanted {
        let layer = LayerName::try_from("x".to_owned()).unwrap();
        Wanted { arch: Arch::Arm64, layer, digest: Digest::of(b"zip"), size: 3 }
    }

    fn version() -> Version {
        Version {
            number: 1,
            arn: String::new(),
            code_sha256: Digest::of(b"zip").base64(),
            size: 3,
            architectures: vec!["arm64".to_owned()],
            license: LICENSE.to_owned(),
            description: format!("sha256 {}", Digest::of(b"zip").short()),
            grant: Grant::Public,
        }
    }

    #[test]
    fn the_same_bytes_are_adopted_and_only_the_grant_is_mended() {
        assert_eq!(wanted().action(Some(&version())), Action::Adopt);
        for grant in [Grant::Missing, Grant::Other("{}".to_owned())] {
            assert_eq!(wanted().action(Some(&Version { grant, ..version() })), Action::Grant);
        }
    }

    #[test]
    fn whatever_cannot_be_mended_is_published_anew() {
        assert_eq!(wanted().action(None), Action::Publish);
        let wrong = [
            Version { code_sha256: "other".to_owned(), ..version() },
            Version { size: 4, ..version() },
            Version { architectures: vec!["x86_64".to_owned()], ..version() },
            Version { license: String::new(), ..version() },
        ];
        for version in wrong {
            assert_eq!(wanted().action(Some(&version)), Action::Publish, "{version:?}");
            assert_eq!(wanted().differences(&version).len(), 1, "{version:?}");
        }
    }
}
