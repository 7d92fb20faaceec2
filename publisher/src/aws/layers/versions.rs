//! What the calls about layers tell of a layer version.

use crate::aws::policy::Policy;

/// A version, as its owner sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LayerVersion {
    pub(crate) number: i64,
    /// The ARN of the version, which ends in the version number.
    pub(crate) arn: String,
    /// Base64 of the zip's sha256.
    pub(crate) code_sha256: String,
    /// The size of the zip in bytes.
    pub(crate) size: i64,
    /// The architectures of `CompatibleArchitectures`. The list is empty if the version names none.
    pub(crate) architectures: Vec<String>,
    /// The runtimes of `CompatibleRuntimes`. The list is empty if the version names none.
    pub(crate) runtimes: Vec<String>,
    pub(crate) license: String,
    pub(crate) description: String,
    /// The policy, which says who may use the version.
    pub(crate) policy: Policy,
}

/// The answer of `PublishLayerVersion` about the new version. A field is `None` if the answer lacks it; it has to be
/// read from Lambda then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PublishAnswer {
    pub(crate) number: i64,
    /// The ARN of the version, which ends in the version number.
    pub(crate) arn: Option<String>,
    /// Base64 of the sha256 of the bytes that Lambda has stored.
    pub(crate) code_sha256: Option<String>,
    /// The number of bytes that Lambda has stored.
    pub(crate) size: Option<i64>,
}

/// One entry of the list of a layer's versions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ListedVersion {
    pub(crate) number: i64,
    pub(crate) description: String,
}

/// The zip of a version, as an account sees it that does not own the layer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct VisibleContent {
    /// Base64 of the zip's sha256.
    pub(crate) code_sha256: String,
    /// A link for downloading the zip. It is valid for ten minutes.
    pub(crate) location: Option<String>,
}

/// A version, as an account sees it that does not own the layer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct VisibleVersion {
    /// Base64 of the zip's sha256.
    pub(crate) code_sha256: String,
    /// A link for downloading the zip. It is valid for ten minutes.
    pub(crate) location: String,
    pub(crate) description: String,
    pub(crate) license: String,
}
