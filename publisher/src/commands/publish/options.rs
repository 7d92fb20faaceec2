//! The options of `publisher publish`, and the checks that need no call to AWS.

use super::{
    canary::CanaryOptions,
    other::OtherOptions,
    share::{self, Share},
};
use crate::{
    artifacts::{
        build_manifest::BuildManifestError,
        bundle::{self, Bundle, BundleError, Origin},
        layers_manifest::Layer,
    },
    aws::{
        audience::{AccountId, Audience, Grantee},
        layer_arn::LayerArn,
        partition::Partition,
        policy::{self, Policy},
        regions::{RegionChoice, RegionPattern},
    },
    commands::common::{
        account::{AccountOptions, RegionOptions},
        execute::ExecuteOptions,
        fewer_regions::FewerRegionsOptions,
    },
    failure::{Code, Failure, chain},
    model::{
        layer_name::{self, LayerName},
        variant::{LayerKind, Variant},
    },
    publish::plan::{self, Wanted},
};
use std::{collections::BTreeMap, path::PathBuf};

/// Arguments of `publisher publish`.
#[derive(Clone, clap::Args)]
pub(crate) struct Publish {
    /// The folder with build.json, SHA256SUMS and the zips
    #[arg(long, value_name = "DIR", default_value = "dist")]
    pub(super) dist: PathBuf,

    /// Only the layers with the extension alone, or only those with Relay; all that were built unless told
    #[arg(long, value_enum)]
    pub(super) kind: Option<LayerKind>,

    /// The layers' names; {arch} {version} {major} {minor} {patch} are filled in [default:
    /// SentryLambdaExtension-{arch}]
    #[arg(long, value_name = "TEMPLATE", conflicts_with = "version_style")]
    pub(super) layer_name: Option<String>,

    /// The names of the layers with Relay [default: SentryLambdaExtensionRelay-{arch}]
    #[arg(long, value_name = "TEMPLATE", conflicts_with = "version_style")]
    pub(super) relay_layer_name: Option<String>,

    #[command(flatten)]
    pub(super) other: OtherOptions,

    /// Where the release's version is: in the layer's number, or in its name (then the number is 1 everywhere)
    #[arg(long, value_enum, default_value = "numbered")]
    pub(super) version_style: VersionStyle,

    #[command(flatten)]
    pub(super) regions: RegionOptions,

    /// Try these regions too, without letting them decide the exit code; patterns too
    #[arg(long, value_name = "REGION,…", value_delimiter = ',')]
    pub(super) optional_regions: Vec<RegionPattern>,

    #[command(flatten)]
    pub(super) canary: CanaryOptions,

    /// Whether this is the first of two runs, which publishes to the canary regions alone.
    #[arg(skip)]
    pub(super) is_canary_stage: bool,

    #[command(flatten)]
    pub(super) fewer: FewerRegionsOptions,

    /// Who may use the layers: `public`, `private`, or accounts (12 digits) and organizations (o-…)
    #[arg(long, value_name = "WHO,…", value_delimiter = ',', default_value = "public")]
    pub(super) share_with: Vec<Share>,

    /// Publish a version like 1.2.0-rc.1
    #[arg(long)]
    pub(super) prerelease: bool,

    /// Where version numbers differ, publish again to those that are behind: at most N times each
    #[arg(long, value_name = "N", num_args = 0..=1, default_missing_value = "10", require_equals = true)]
    pub(super) balance: Option<u16>,

    /// Bring zips over 50 MB to Lambda through this bucket; {region} is filled in
    #[arg(long, value_name = "TEMPLATE")]
    pub(super) s3_bucket: Option<String>,

    /// Publish once more where a version is not what was sent
    #[arg(long = "publish-again")]
    pub(super) again: bool,

    /// Leave the zips in the bucket
    #[arg(long, requires = "s3_bucket")]
    pub(super) keep_s3: bool,

    /// How many uploads at once, at most; on a line that is too slow for them, fewer
    #[arg(long, value_name = "N", default_value = "64")]
    pub(super) max_uploads: u16,

    /// How many mebibytes of uploads at once
    #[arg(long, value_name = "MIB", default_value = "512")]
    pub(super) max_in_flight: u16,

    #[command(flatten)]
    pub(super) act: ExecuteOptions,

    #[command(flatten)]
    pub(super) account_options: AccountOptions,
}

/// How layers show the version of the release.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum VersionStyle {
    /// One layer; its numbers are Lambda's
    Numbered,
    /// A layer for each release
    Named,
}

/// The layers that were built, and the checked options for publishing them.
pub(super) struct PublishPlan {
    pub(super) wanted: Vec<Wanted>,
    pub(super) bundle: Bundle,
    pub(super) audience: Audience,
}

impl PublishPlan {
    /// The layers as entries of `layers.json`, which do not have any region yet.
    pub(super) fn layers(&self) -> impl Iterator<Item = (Variant, Layer)> {
        self.wanted.iter().map(|wanted| {
            let relay = self.bundle.zip(wanted.variant).and_then(|zip| zip.relay.clone());
            (wanted.variant, wanted.listed(relay))
        })
    }
}

impl Publish {
    /// Opens the build and checks everything that can be checked without a call to AWS.
    pub(super) fn open(&self) -> Result<PublishPlan, Failure> {
        let bundle = match &self.layer_name {
            Some(template) if self.other.is_used() => self.other.open(template)?,
            _ => Bundle::open(&self.dist, self.kind).map_err(bundle_failure)?,
        };
        if bundle.is_prerelease() && !self.prerelease {
            let text = format!("{} is a prerelease", bundle.version);
            return Err(Failure::message(Code::Usage, text).hint("add --prerelease to publish it"));
        }
        if let Some(zip) = bundle.zips.iter().find(|zip| zip.bytes.len() as u64 > bundle::MAX_DIRECT_UPLOAD)
            && self.s3_bucket.is_none()
        {
            let variant = zip.variant;
            let size = zip.bytes.len();
            let text = format!(
                "the {variant} zip has {size} bytes; Lambda accepts at most {} in the request",
                bundle::MAX_DIRECT_UPLOAD
            );
            let next = "name an S3 bucket in each region for it: --s3-bucket 'layers-{region}'";
            let without = match variant.kind {
                LayerKind::Plain => "",
                LayerKind::Relay => ", or leave the layers with Relay out: --kind plain",
            };
            return Err(Failure::message(Code::Failed, text).hint(format!("{next}{without}")));
        }
        let audience = self.audience()?;
        let mut names = self.names(&bundle)?;
        let published = bundle.zips.iter().filter_map(|zip| names.get(&zip.variant));
        if let Some(longest) = published.max_by_key(|name| name.as_str().len()) {
            check_policy(&audience, longest)?;
        }
        let wanted = bundle.zips.iter().filter_map(|zip| {
            let (variant, layer) = names.remove_entry(&zip.variant)?;
            let digest = zip.digest;
            let size = zip.bytes.len() as u64;
            let runtimes = zip.runtimes.clone();
            let license = license(&bundle, variant);
            let audience = audience.clone();
            Some(Wanted { variant, layer, digest, size, runtimes, license, audience })
        });
        Ok(PublishPlan { wanted: wanted.collect(), audience, bundle })
    }

    fn names(&self, bundle: &Bundle) -> Result<BTreeMap<Variant, LayerName>, Failure> {
        if let Origin::Other { names, .. } = &bundle.origin {
            return Ok(names.clone());
        }
        let with_relay = bundle.zips.iter().any(|zip| zip.variant.kind == LayerKind::Relay);
        if let (Some(template), None, true) = (&self.layer_name, &self.relay_layer_name, with_relay) {
            let text = "--layer-name names the plain layers only, and there are layers with Relay to publish";
            return Err(Failure::message(Code::Usage, text).hint(format!(
                "name those as well: --relay-layer-name '{template}-relay', or leave them out: --kind plain"
            )));
        }
        let template = |given: &Option<String>, kind| match (given, self.version_style) {
            (Some(template), _) => template.clone(),
            (None, VersionStyle::Named) => layer_name::release_template(kind, &bundle.version),
            (None, VersionStyle::Numbered) => layer_name::default_template(kind).to_owned(),
        };
        let plain = template(&self.layer_name, LayerKind::Plain);
        let relay = template(&self.relay_layer_name, LayerKind::Relay);
        layer_name::names_of_all_variants(&plain, &relay, &bundle.version)
            .map_err(|error| Failure::message(Code::Usage, chain(&error)))
    }

    fn audience(&self) -> Result<Audience, Failure> {
        share::audience(&self.share_with).ok_or_else(|| {
            let text =
                "--share-with takes `public` or `private` alone, or a list of accounts and organizations";
            Failure::message(Code::Usage, text).hint("say one of the three")
        })
    }

    /// The regions that the options select.
    pub(super) fn choice(&self) -> RegionChoice {
        RegionChoice {
            regions: self.regions.regions.clone(),
            optional: self.optional_regions.clone(),
            exclude: self.regions.exclude.clone(),
        }
    }
}

/// The licence that AWS shows to users of the layer.
pub(super) fn license(bundle: &Bundle, variant: Variant) -> String {
    match &bundle.origin {
        Origin::Build { .. } => plan::license(variant.kind).to_owned(),
        Origin::Other { layer, .. } => layer.license.clone(),
    }
}

/// Fails if the grants do not fit into a policy even for a version with the shortest possible ARN. Longer ARNs, and the
/// grants that a policy already has, are checked in each region before anything is published.
fn check_policy(audience: &Audience, name: &LayerName) -> Result<(), Failure> {
    let owner: AccountId = "0".repeat(12).parse().map_err(Failure::new)?;
    let grantees: Vec<Grantee> = audience.grantees().cloned().collect();
    let length = |count, region: &str, version| {
        let region = region.parse().unwrap_or_else(|_| Partition::Aws.home_region());
        let arn = LayerArn::new(region, owner.clone(), name.clone(), version).to_string();
        let some = Audience::of(grantees.iter().take(count).cloned());
        Policy::default().length_after(&Policy::default().repair(&some), &arn)
    };
    let all = grantees.len();
    let shortest = length(all, "us-east-1", 1);
    if shortest <= policy::MAX_POLICY_BYTES {
        return Ok(());
    }
    // This many grants fit in every region, since the check uses a long region name and a high version number.
    let fits = |count: &usize| length(*count, "ap-southeast-1", 9999) <= policy::MAX_POLICY_BYTES;
    let fit = (0..all).rev().find(fits).unwrap_or_default();
    let text = format!(
        "{all} grants do not fit into the policy of `{name}`: it would have {} bytes, and AWS accepts at most {}; each \
         account needs its own statement, and {fit} statements fit",
        shortest,
        policy::MAX_POLICY_BYTES
    );
    Err(Failure::message(Code::Failed, text).hint(format!(
        "name at most {fit} accounts, or share with an organization instead: --share-with o-…"
    )))
}

fn bundle_failure(error: BundleError) -> Failure {
    let next = match &error {
        BundleError::Manifest(BuildManifestError::NotBuilt(_)) => {
            "build first: ci/build; --dist names another folder to look in"
        }
        BundleError::NoRelay(_) => "build them: publisher build --relay PATH|VERSION",
        BundleError::TooLarge { .. } => "find out what made it grow; build again with ci/build",
        _ => "build again: ci/build",
    };
    Failure::new(error).hint(next)
}
