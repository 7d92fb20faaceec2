//! Compares a layer version with what is wanted.

use crate::{aws::layers::LayerVersion, model::arch::Arch, publish::plan::Wanted};
use serde::Serialize;

const CODE_SHA256: &str = "CodeSha256";
const CODE_SIZE: &str = "CodeSize";

/// One property that differs from what is wanted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Difference {
    /// The name of the property.
    pub(crate) what: &'static str,
    /// The wanted value.
    pub(crate) expected: String,
    /// The value that was found.
    pub(crate) found: String,
}

impl Difference {
    /// Whether the difference shows other bytes, or another version altogether.
    pub(crate) fn is_of_bytes(&self) -> bool {
        matches!(self.what, CODE_SHA256 | CODE_SIZE | "ARN")
    }
}

impl std::fmt::Display for Difference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} is {}, expected {}", self.what, self.found, self.expected)
    }
}

impl Wanted {
    /// The differences that cannot be repaired in an existing version. If there are none, the version can be adopted.
    pub(crate) fn fixed_differences(&self, found: &LayerVersion) -> Vec<Difference> {
        let mut all = self.byte_differences(Some(&found.code_sha256), Some(found.size));
        let mut compare = |what, expected: String, found: String| {
            if expected != found {
                all.push(Difference { what, expected, found });
            }
        };
        // Regions without the architecture field accept x86_64 only, and return no architectures.
        if !self.variant.arch.includes(Arch::X86_64) || !found.architectures.is_empty() {
            let arches = self.variant.arch.arches();
            let expected = sorted(arches.iter().map(|arch| arch.name()));
            let found = sorted(found.architectures.iter().map(String::as_str));
            compare("CompatibleArchitectures", expected, found);
        }
        let runtimes = |names: &[String]| sorted(names.iter().map(String::as_str));
        compare("CompatibleRuntimes", runtimes(&self.runtimes), runtimes(&found.runtimes));
        compare("LicenseInfo", self.license.clone(), found.license.clone());
        if !self.is_named_in(&found.description) {
            let expected = format!("one with {}", self.digest.short());
            compare("Description", expected, found.description.clone());
        }
        all
    }

    /// The differences between the stored bytes and the zip, as far as AWS reports hash and size.
    pub(crate) fn byte_differences(&self, code_sha256: Option<&str>, size: Option<i64>) -> Vec<Difference> {
        let mut all = Vec::new();
        let expected = self.digest.base64();
        if let Some(found) = code_sha256.filter(|found| *found != expected) {
            all.push(Difference { what: CODE_SHA256, expected, found: found.to_owned() });
        }
        let expected = self.size.to_string();
        if let Some(found) = size.map(|size| size.to_string()).filter(|found| *found != expected) {
            all.push(Difference { what: CODE_SIZE, expected, found });
        }
        all
    }

    /// All differences, including the permission.
    pub(crate) fn differences(&self, found: &LayerVersion) -> Vec<Difference> {
        let mut all = self.fixed_differences(found);
        if !found.policy.matches(&self.audience) {
            let expected = self.audience.to_string();
            let found = found.policy.to_string();
            all.push(Difference { what: "permission", expected, found });
        }
        all
    }
}

/// Joins the names in sorted order, because AWS may return them in any order.
fn sorted<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let mut names: Vec<&str> = names.collect();
    names.sort_unstable();
    names.join(" ")
}
