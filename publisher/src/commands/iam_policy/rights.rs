//! Which actions each step needs, and what they are done to. `tests/it/iam_policy.rs` holds them to what is really asked.

use crate::aws::partition::Partition;

/// The folder in a bucket that large zips go through.
pub(crate) const S3_FOLDER: &str = "sentry-lambda-extension";
/// What the names of ci/smoke's functions begin with.
pub(crate) const SMOKE_FUNCTION: &str = "sentry-lambda-extension-smoke";

/// What an action is done to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ResourceKind {
    /// A layer.
    Layer,
    /// A version of a layer.
    Version,
    /// The account as a whole: IAM cannot narrow these.
    Account,
    /// A bucket.
    Bucket,
    /// What is in the bucket.
    Object,
    /// A function.
    Function,
    /// A role that is handed to a function.
    Role,
}

impl ResourceKind {
    /// The name of the statement.
    pub(crate) fn sid(self) -> &'static str {
        match self {
            Self::Layer => "Layers",
            Self::Version => "LayerVersions",
            Self::Account => "Account",
            Self::Bucket => "Buckets",
            Self::Object => "StagedZips",
            Self::Function => "Functions",
            Self::Role => "FunctionRole",
        }
    }
}

/// Something that has to be allowed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Right {
    /// As IAM spells it.
    pub(crate) action: &'static str,
    /// What it is done to.
    pub(crate) on: ResourceKind,
}

impl Right {
    /// Whether there is such an action: only the commercial partition lists an account's regions.
    pub(crate) fn is_in(&self, partition: Partition) -> bool {
        partition == Partition::Aws || !self.action.starts_with("account:")
    }
}

const fn right(action: &'static str, on: ResourceKind) -> Right {
    Right { action, on }
}

const LIST: Right = right("lambda:ListLayerVersions", ResourceKind::Layer);
// GetLayerVersionByArn is this action as well.
const GET: Right = right("lambda:GetLayerVersion", ResourceKind::Version);
const DELETE: Right = right("lambda:DeleteLayerVersion", ResourceKind::Version);
const GET_POLICY: Right = right("lambda:GetLayerVersionPolicy", ResourceKind::Version);
const REGIONS: Right = right("account:ListRegions", ResourceKind::Account);

/// `publisher publish`.
pub(crate) const PUBLISH: &[Right] = &[
    right("lambda:PublishLayerVersion", ResourceKind::Layer),
    LIST,
    GET,
    GET_POLICY,
    right("lambda:AddLayerVersionPermission", ResourceKind::Version),
    right("lambda:GetAccountSettings", ResourceKind::Account),
    REGIONS,
];

/// `publisher publish` with an audience that is narrower than what is granted.
pub(crate) const NARROW: &[Right] = &[right("lambda:RemoveLayerVersionPermission", ResourceKind::Version)];

/// `publisher publish --s3-bucket`. `HeadBucket` is `ListBucket`, and `HeadObject` is `GetObject`, which Lambda uses too.
pub(crate) const STAGE: &[Right] = &[
    right("s3:ListBucket", ResourceKind::Bucket),
    right("s3:GetObject", ResourceKind::Object),
    right("s3:PutObject", ResourceKind::Object),
    right("s3:DeleteObject", ResourceKind::Object),
];

/// `publisher verify`.
pub(crate) const VERIFY: &[Right] = &[GET, GET_POLICY];

/// `publisher prune`.
pub(crate) const PRUNE: &[Right] = &[LIST, DELETE, REGIONS];

/// `publisher prune` where each release is a layer of its own: IAM cannot narrow it.
pub(crate) const FIND: &[Right] = &[right("lambda:ListLayers", ResourceKind::Account)];

/// `publisher attach`.
pub(crate) const ATTACH: &[Right] = &[
    GET,
    right("lambda:GetFunctionConfiguration", ResourceKind::Function),
    right("lambda:UpdateFunctionConfiguration", ResourceKind::Function),
];

/// `ci/smoke`.
pub(crate) const SMOKE: &[Right] = &[
    GET,
    right("lambda:CreateFunction", ResourceKind::Function),
    right("lambda:GetFunctionConfiguration", ResourceKind::Function),
    right("lambda:InvokeFunction", ResourceKind::Function),
    right("lambda:DeleteFunction", ResourceKind::Function),
    right("iam:PassRole", ResourceKind::Role),
];
