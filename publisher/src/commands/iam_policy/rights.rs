//! The actions that each step of a release needs, and the kind of resource for each action.
//! `tests/it/iam_policy.rs` compares them with the calls that the steps really make.

use crate::aws::partition::Partition;

/// The folder in the S3 bucket through which large zips are uploaded.
pub(crate) const S3_FOLDER: &str = "sentry-lambda-extension";
/// The prefix of the names of the functions that `ci/smoke` creates.
pub(crate) const SMOKE_FUNCTION: &str = "sentry-lambda-extension-smoke";

/// The kind of resource to which an action applies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ResourceKind {
    Layer,
    /// One version of a layer.
    Version,
    /// One version of a layer that belongs to another account.
    OtherVersion,
    /// The whole account: IAM cannot restrict these actions to single resources.
    Account,
    Bucket,
    /// An object in the bucket.
    Object,
    /// A key by which objects in the bucket are encrypted.
    Key,
    Function,
    /// A role that is passed to a function.
    Role,
    /// The user or the role that calls.
    Caller,
}

impl ResourceKind {
    /// The `Sid` of the statement about this kind of resource.
    pub(crate) fn sid(self) -> &'static str {
        match self {
            Self::Layer => "Layers",
            Self::Version => "LayerVersions",
            Self::OtherVersion => "OtherLayerVersions",
            Self::Account => "Account",
            Self::Bucket => "Buckets",
            Self::Object => "StagedZips",
            Self::Key => "Keys",
            Self::Function => "Functions",
            Self::Role => "FunctionRole",
            Self::Caller => "Caller",
        }
    }
}

/// One action that a policy allows on one kind of resource.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Right {
    /// The name of the action as IAM spells it.
    pub(crate) action: &'static str,
    /// The kind of resource to which the action applies.
    pub(crate) on: ResourceKind,
}

impl Right {
    /// Whether the action exists in `partition`. Only the commercial partition can list an account's regions.
    pub(crate) fn is_in(&self, partition: Partition) -> bool {
        partition == Partition::Aws || !self.action.starts_with("account:")
    }
}

const fn right(action: &'static str, on: ResourceKind) -> Right {
    Right { action, on }
}

const LIST: Right = right("lambda:ListLayerVersions", ResourceKind::Layer);
// IAM checks this action for GetLayerVersionByArn too.
const GET: Right = right("lambda:GetLayerVersion", ResourceKind::Version);
const DELETE: Right = right("lambda:DeleteLayerVersion", ResourceKind::Version);
const GET_POLICY: Right = right("lambda:GetLayerVersionPolicy", ResourceKind::Version);
const REGIONS: Right = right("account:ListRegions", ResourceKind::Account);

/// The rights that `publisher publish` needs.
pub(crate) const PUBLISH: &[Right] = &[
    right("lambda:PublishLayerVersion", ResourceKind::Layer),
    LIST,
    GET,
    GET_POLICY,
    right("lambda:AddLayerVersionPermission", ResourceKind::Version),
    right("lambda:GetAccountSettings", ResourceKind::Account),
    REGIONS,
];

/// The additional right of `publisher publish` if it has to remove grants because the audience became smaller.
pub(crate) const NARROW: &[Right] = &[right("lambda:RemoveLayerVersionPermission", ResourceKind::Version)];

/// The additional rights of `publisher publish --s3-bucket`. IAM checks `ListBucket` for `HeadBucket`, and `GetObject`
/// for `HeadObject`. Lambda needs `GetObject` too.
pub(crate) const STAGE: &[Right] = &[
    right("s3:ListBucket", ResourceKind::Bucket),
    right("s3:GetObject", ResourceKind::Object),
    right("s3:PutObject", ResourceKind::Object),
    right("s3:DeleteObject", ResourceKind::Object),
];

/// The additional rights if the bucket encrypts with a key of KMS. Writing an object needs a data key, and Lambda reads
/// the object in the caller's name. S3 also asks for `Decrypt` when it checks what was written.
pub(crate) const DECRYPT: &[Right] =
    &[right("kms:GenerateDataKey", ResourceKind::Key), right("kms:Decrypt", ResourceKind::Key)];

/// The rights that `publisher verify` needs.
pub(crate) const VERIFY: &[Right] = &[GET, GET_POLICY];

/// The rights that `publisher verify --all-regions` needs.
pub(crate) const WATCH: &[Right] = &[GET, GET_POLICY, REGIONS];

/// The rights that `publisher prune` needs.
pub(crate) const PRUNE: &[Right] = &[LIST, DELETE, REGIONS];

/// The rights that `publisher yank` needs.
pub(crate) const YANK: &[Right] =
    &[GET, GET_POLICY, right("lambda:RemoveLayerVersionPermission", ResourceKind::Version)];

/// The additional right of `publisher yank --undo`.
pub(crate) const UNDO_YANK: &[Right] = &[right("lambda:AddLayerVersionPermission", ResourceKind::Version)];

/// The additional right of `publisher prune` if each release is a separate layer. IAM cannot restrict it to
/// single layers.
pub(crate) const FIND: &[Right] = &[right("lambda:ListLayers", ResourceKind::Account)];

/// The rights that `publisher attach` needs.
pub(crate) const ATTACH: &[Right] = &[
    GET,
    right("lambda:GetFunctionConfiguration", ResourceKind::Function),
    right("lambda:UpdateFunctionConfiguration", ResourceKind::Function),
];

/// The additional right of `publisher attach --latest`.
pub(crate) const LATEST: &[Right] = &[LIST];

/// The additional rights of `publisher attach` for many functions. IAM cannot restrict the search to single functions.
pub(crate) const MANY: &[Right] = &[
    right("lambda:ListFunctions", ResourceKind::Account),
    right("tag:GetResources", ResourceKind::Account),
    REGIONS,
    right("lambda:ListAliases", ResourceKind::Function),
];

/// The additional right of `publisher attach` for the other layers of a function. The update names all layers of the
/// function, and AWS checks this right for each of them.
pub(crate) const OTHER_LAYERS: &[Right] = &[right("lambda:GetLayerVersion", ResourceKind::OtherVersion)];

/// The rights that `publisher doctor --aws` needs.
pub(crate) const DOCTOR: &[Right] = &[
    right("lambda:GetAccountSettings", ResourceKind::Account),
    REGIONS,
    right("iam:SimulatePrincipalPolicy", ResourceKind::Caller),
    right("iam:GetRole", ResourceKind::Caller),
];

/// The rights that `publisher arn --latest` needs.
pub(crate) const ARN: &[Right] = &[LIST, REGIONS];

/// The rights that `ci/smoke` needs.
pub(crate) const SMOKE: &[Right] = &[
    GET,
    right("lambda:CreateFunction", ResourceKind::Function),
    right("lambda:GetFunctionConfiguration", ResourceKind::Function),
    right("lambda:InvokeFunction", ResourceKind::Function),
    right("lambda:DeleteFunction", ResourceKind::Function),
    right("iam:PassRole", ResourceKind::Role),
];
