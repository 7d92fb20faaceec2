//! `publisher iam-policy`: prints the minimal IAM policy for each step of a release, and the trust policy of a role.
//!
//! It makes no call to AWS. The output is meant for `aws iam create-role` and `put-role-policy` (docs/releasing.md).

mod document;
mod names;
mod needs;
mod rights;

pub(crate) use needs::{Step, needs};

use crate::{
    aws::{audience::AccountId, partition::Partition},
    failure::{Code, Failure, chain},
    model::layer_name,
    ui::Ui,
};
use document::{IamDocument, Statement};
use names::{GithubEnvironment, Repository};
use rights::{ResourceKind, Right};
use serde_json::json;

/// The maximum number of characters in a managed policy. IAM does not count white space.
const LARGEST: usize = 6_144;
const GITHUB: &str = "token.actions.githubusercontent.com";
/// The role of the functions that `ci/smoke` creates.
const SMOKE_ROLE: &str = "sentry-lambda-extension-smoke";

/// Arguments of `publisher iam-policy`.
#[derive(clap::Args)]
pub(crate) struct IamPolicy {
    #[command(subcommand)]
    policy: PolicyCommand,
}

#[derive(clap::Subcommand)]
enum PolicyCommand {
    /// What `publisher publish` needs
    Publish(PublishPolicy),
    /// What `publisher verify` needs
    Verify(LayersPolicy),
    /// What the watch of the published layers needs: `publisher verify --all-regions`
    Watch(LayersPolicy),
    /// What `publisher prune` needs: a role of its own, since it deletes
    Prune(LayersPolicy),
    /// What `publisher yank` needs: a role of its own, since it takes the layers away from their users
    Yank(YankPolicy),
    /// What `publisher attach` needs
    Attach(AttachPolicy),
    /// What `publisher arn --latest` needs; without --latest it asks AWS nothing
    Arn(LayersPolicy),
    /// What ci/smoke needs
    Smoke(SmokePolicy),
    /// What `publisher doctor --aws` needs
    Doctor(DoctorPolicy),
    /// Who may take a role: one environment of one GitHub repository, without any stored key
    Trust(TrustPolicy),
}

/// Whose account, and which layers in it.
#[derive(Clone, clap::Args)]
pub(crate) struct LayersPolicy {
    /// The account that the policy is for
    #[arg(long, value_name = "ID")]
    pub(crate) account: AccountId,

    /// The account's partition: aws, aws-cn, aws-us-gov or aws-eusc
    #[arg(long, value_name = "NAME", default_value = "aws", value_parser = partition)]
    pub(crate) partition: Partition,

    /// The layers' names, as `publisher publish` is given them; may be repeated
    #[arg(long, value_name = "TEMPLATE",
        default_values = ["SentryLambdaExtension-{arch}", "SentryLambdaExtensionRelay-{arch}"])]
    pub(crate) layer_name: Vec<String>,
}

#[derive(clap::Args)]
struct PublishPolicy {
    #[command(flatten)]
    layers: LayersPolicy,

    /// Also what --s3-bucket of `publisher publish` needs; {region} is any
    #[arg(long, value_name = "TEMPLATE")]
    s3_bucket: Option<String>,

    /// Also what it takes if the bucket encrypts with this key of KMS; {region} is any, may be repeated
    #[arg(long, value_name = "ARN", value_parser = names::key, requires = "s3_bucket")]
    kms_key: Vec<String>,

    /// Also what it takes to narrow the audience of a layer that is published
    #[arg(long)]
    narrow: bool,
}

#[derive(clap::Args)]
struct YankPolicy {
    #[command(flatten)]
    layers: LayersPolicy,

    /// Also what --undo of `publisher yank` needs
    #[arg(long)]
    undo: bool,
}

#[derive(clap::Args)]
struct AttachPolicy {
    #[command(flatten)]
    layers: LayersPolicy,

    /// The account that the layers are of [default: --account]
    #[arg(long, value_name = "ID")]
    layers_of: Option<AccountId>,

    /// Also what --latest of `publisher attach` needs
    #[arg(long)]
    latest: bool,

    /// Also what it takes to find many functions, and to warn of what would revert the change
    #[arg(long)]
    many: bool,

    /// Also what it takes if the functions have these layers of others: `any`, or ARNs, in which * stands for anything
    #[arg(long, value_name = "ARN,…", value_delimiter = ',', value_parser = names::layer)]
    other_layers: Vec<String>,

    /// The functions; * stands for anything
    #[arg(long, value_name = "NAME", default_value = "*", value_parser = names::function)]
    function: String,
}

#[derive(clap::Args)]
struct SmokePolicy {
    #[command(flatten)]
    layers: LayersPolicy,

    /// The role that the function runs in
    #[arg(long, value_name = "NAME", default_value = SMOKE_ROLE, value_parser = names::plain)]
    function_role: String,
}

#[derive(clap::Args)]
struct DoctorPolicy {
    /// The account that the policy is for
    #[arg(long, value_name = "ID")]
    account: AccountId,

    /// The account's partition: aws, aws-cn, aws-us-gov or aws-eusc
    #[arg(long, value_name = "NAME", default_value = "aws", value_parser = partition)]
    partition: Partition,

    /// The role or the user that may ask about itself, without its path; * stands for anything
    #[arg(long, value_name = "NAME", default_value = "*", value_parser = names::function)]
    caller: String,
}

#[derive(clap::Args)]
struct TrustPolicy {
    /// The account that has the role
    #[arg(long, value_name = "ID")]
    account: AccountId,

    /// The account's partition: aws, aws-cn, aws-us-gov or aws-eusc
    #[arg(long, value_name = "NAME", default_value = "aws", value_parser = partition)]
    partition: Partition,

    /// The repository whose workflow may take the role
    #[arg(long, value_name = "OWNER/NAME", value_parser = Repository::named,
        required_unless_present = "subject_prefix")]
    repository: Option<Repository>,

    /// The repository as GitHub writes it in tokens, with numbers for those made since July 2026:
    /// `gh api repos/OWNER/NAME/actions/oidc/customization/sub --jq .sub_claim_prefix`
    #[arg(long, value_name = "PREFIX", value_parser = Repository::prefixed, conflicts_with = "repository")]
    subject_prefix: Option<Repository>,

    /// The environment that the workflow's job has to be in
    #[arg(long, value_name = "NAME", default_value = "production")]
    environment: GithubEnvironment,
}

fn partition(name: &str) -> Result<Partition, String> {
    Partition::from_name(name).ok_or_else(|| "there are aws, aws-cn, aws-us-gov and aws-eusc".to_owned())
}

impl IamPolicy {
    pub(crate) fn run(&self, ui: &Ui) -> Result<(), Failure> {
        let document = self.policy.document()?;
        let size = serde_json::to_string(&document).map_err(Failure::new)?.len();
        if size > LARGEST {
            let text = format!("the policy has {size} characters, and IAM accepts at most {LARGEST}");
            return Err(Failure::message(Code::Failed, text).hint("choose shorter names"));
        }
        ui.result(serde_json::to_string_pretty(&document).map_err(Failure::new)?);
        Ok(())
    }
}

impl PolicyCommand {
    fn document(&self) -> Result<IamDocument, Failure> {
        match self {
            Self::Publish(publish) => publish.document(),
            Self::Verify(layers) => layers.document(rights::VERIFY),
            Self::Watch(layers) => layers.document(rights::WATCH),
            Self::Prune(layers) => {
                let releases =
                    layers.layer_name.iter().any(|template| layer_name::names_the_release(template));
                let find = if releases { rights::FIND } else { &[] };
                layers.document(&[rights::PRUNE, find].concat())
            }
            Self::Yank(yank) => {
                let undo = if yank.undo { rights::UNDO_YANK } else { &[] };
                yank.layers.document(&[rights::YANK, undo].concat())
            }
            Self::Attach(attach) => attach.document(),
            Self::Arn(layers) => layers.document(rights::ARN),
            Self::Smoke(smoke) => smoke.document(),
            Self::Doctor(doctor) => Ok(doctor.document()),
            Self::Trust(trust) => Ok(trust.document()),
        }
    }
}

impl LayersPolicy {
    fn document(&self, rights: &[Right]) -> Result<IamDocument, Failure> {
        Ok(IamDocument::new(self.statements(rights)?))
    }

    /// Creates one statement for each kind of resource that concerns the account's own layers.
    fn statements(&self, rights: &[Right]) -> Result<Vec<Statement>, Failure> {
        let mut patterns = Vec::new();
        for template in &self.layer_name {
            let of_template = names::patterns(template);
            patterns.extend(of_template.map_err(|error| Failure::message(Code::Usage, chain(&error)))?);
        }
        let arns = |tail: &str| -> Vec<String> {
            let arn = |name: &String| self.arn("lambda", "*", &format!("layer:{name}{tail}"));
            patterns.iter().map(arn).collect()
        };
        let mut statements = Vec::new();
        for (on, resources) in [
            (ResourceKind::Layer, arns("")),
            (ResourceKind::Version, arns(":*")),
            (ResourceKind::Account, vec!["*".to_owned()]),
        ] {
            let on_this = |right: &&Right| right.on == on && right.is_in(self.partition);
            statements.extend(Statement::of(on, rights.iter().filter(on_this), &resources));
        }
        Ok(statements)
    }

    fn arn(&self, service: &str, region: &str, resource: &str) -> String {
        format!("arn:{}:{service}:{region}:{}:{resource}", self.partition, self.account)
    }
}

impl PublishPolicy {
    fn document(&self) -> Result<IamDocument, Failure> {
        let mut rights = rights::PUBLISH.to_vec();
        if self.narrow {
            rights.extend(rights::NARROW);
        }
        let mut statements = self.layers.statements(&rights)?;
        if let Some(template) = &self.s3_bucket {
            let bucket =
                names::bucket(template).map_err(|error| Failure::message(Code::Usage, chain(&error)))?;
            let bucket = format!("arn:{}:s3:::{bucket}", self.layers.partition);
            let objects = format!("{bucket}/{}/*", rights::S3_FOLDER);
            for (on, resource) in [(ResourceKind::Bucket, bucket), (ResourceKind::Object, objects)] {
                let on_this = rights::STAGE.iter().filter(|right| right.on == on);
                // All accounts share the names of buckets, so a pattern may match a bucket of another account.
                let own = json!({"StringEquals": {"aws:ResourceAccount": self.layers.account}});
                statements.extend(Statement::of(on, on_this, &[resource]).map(|s| s.only_if(own)));
            }
            if !self.kms_key.is_empty() {
                // The keys serve for nothing but what S3 does in the caller's name.
                let by_s3 = json!({"StringLike": {"kms:ViaService": "s3.*.amazonaws.com*"}});
                let keys = Statement::of(ResourceKind::Key, rights::DECRYPT.iter(), &self.kms_key);
                statements.extend(keys.map(|s| s.only_if(by_s3)));
            }
        }
        Ok(IamDocument::new(statements))
    }
}

impl AttachPolicy {
    fn document(&self) -> Result<IamDocument, Failure> {
        let function = self.layers.arn("lambda", "*", &format!("function:{}", self.function));
        let owner = self.layers_of.as_ref().unwrap_or(&self.layers.account).clone();
        let partition = self.layers.partition;
        let layer_name = self.layers.layer_name.clone();
        let layers = LayersPolicy { account: owner, partition, layer_name };
        let latest = if self.latest { rights::LATEST } else { &[] };
        let rights = [rights::ATTACH, latest, if self.many { rights::MANY } else { &[] }].concat();
        let mut statements = layers.statements(&rights)?;
        if !self.other_layers.is_empty() {
            let any = format!("arn:{partition}:lambda:*:*:layer:*:*");
            let arn = |layer: &String| if layer == names::ANY { any.clone() } else { layer.clone() };
            let others: Vec<String> = self.other_layers.iter().map(arn).collect();
            let on_others = rights::OTHER_LAYERS.iter();
            statements.extend(Statement::of(ResourceKind::OtherVersion, on_others, &others));
        }
        let on_this = rights.iter().filter(|right| right.on == ResourceKind::Function);
        statements.extend(Statement::of(ResourceKind::Function, on_this, &[function]));
        Ok(IamDocument::new(statements))
    }
}

impl SmokePolicy {
    fn document(&self) -> Result<IamDocument, Failure> {
        let function = self.layers.arn("lambda", "*", &format!("function:{}-*", rights::SMOKE_FUNCTION));
        let mut statements = self.layers.statements(rights::SMOKE)?;
        let on_this = rights::SMOKE.iter().filter(|right| right.on == ResourceKind::Function);
        statements.extend(Statement::of(ResourceKind::Function, on_this, &[function]));
        let role = self.layers.arn("iam", "", &format!("role/{}", self.function_role));
        let on_this = rights::SMOKE.iter().filter(|right| right.on == ResourceKind::Role);
        let to_lambda = json!({"StringEquals": {"iam:PassedToService": "lambda.amazonaws.com"}});
        statements.extend(Statement::of(ResourceKind::Role, on_this, &[role]).map(|s| s.only_if(to_lambda)));
        Ok(IamDocument::new(statements))
    }
}

impl DoctorPolicy {
    fn document(&self) -> IamDocument {
        let Self { account, partition, caller } = self;
        let named = |kind: &str| format!("arn:{partition}:iam::{account}:{kind}/{caller}");
        // A role or a user may be in a path, which the name of the caller does not tell.
        let callers = ["role", "user", "role/*", "user/*"].map(named).to_vec();
        let all = vec!["*".to_owned()];
        let statements =
            [(ResourceKind::Account, all), (ResourceKind::Caller, callers)].map(|(on, resources)| {
                let on_this = |right: &&Right| right.on == on && right.is_in(*partition);
                Statement::of(on, rights::DOCTOR.iter().filter(on_this), &resources)
            });
        IamDocument::new(statements.into_iter().flatten().collect())
    }
}

impl TrustPolicy {
    fn document(&self) -> IamDocument {
        let audience = match self.partition {
            Partition::China => "sts.amazonaws.com.cn",
            _ => "sts.amazonaws.com",
        };
        let provider = format!("arn:{}:iam::{}:oidc-provider/{GITHUB}", self.partition, self.account);
        // clap requires one of the two options.
        let repository = self.subject_prefix.as_ref().or(self.repository.as_ref());
        let subject = repository.map(|repository| repository.subject(&self.environment)).unwrap_or_default();
        let who = json!({"StringEquals": {
            format!("{GITHUB}:aud"): audience,
            format!("{GITHUB}:sub"): subject,
        }});
        IamDocument::new(vec![Statement::trust(json!({"Federated": provider})).only_if(who)])
    }
}
