//! `publisher verify`: reads back every layer version in `dist/layers.json` and compares it. With `--arn`, anybody
//! compares one layer version with the files of the release.

mod attestation;
mod coverage;
mod difference_report;
mod one_version;
mod release_files;
mod version_check;

use crate::{
    artifacts::{
        build_manifest::BuildManifestError,
        bundle::{Bundle, BundleError},
        layers_manifest::LayersManifest,
    },
    aws::{
        layer_arn::LayerArn, layers::RegionLayers, partition::RegionName, regions::RegionPattern,
        session::Session,
    },
    commands::common::{
        account::{self, AccountOptions},
        fewer_regions::{self, FewerRegionsOptions},
        manifest,
    },
    failure::{Code, Failure},
    github_actions::WorkflowStep,
    publish::plan::{self, Wanted},
    ui::{self, Ui},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::Arc,
};
use tokio::{sync::Semaphore, task::JoinSet};
use version_check::{Check, PublishedLayer, Viewpoint, check};

/// The maximum number of concurrent downloads. Each zip may have 50 MB or more.
const DOWNLOADS: usize = 8;

/// Arguments of `publisher verify`.
#[derive(clap::Args)]
pub(crate) struct Verify {
    /// The folder with layers.json and, where they are still there, the zips
    #[arg(long, value_name = "DIR", default_value = "dist")]
    dist: PathBuf,

    #[command(flatten)]
    fewer: FewerRegionsOptions,

    /// Download every zip, and hash its bytes
    #[arg(long)]
    download: bool,

    /// Prove that this profile's account, which should be another one, may use the layers
    #[arg(long = "as", value_name = "PROFILE")]
    other: Option<String>,

    /// Check with an account that is not the owner's: whether it can read each layer. This needs no rights of the owner
    #[arg(long, conflicts_with = "other")]
    as_stranger: bool,

    /// Compare this layer version with the files of its release, in the folder of --dist; any account's credentials do
    #[arg(long, value_name = "ARN",
        conflicts_with_all = ["other", "as_stranger", "regions", "previous", "allow_fewer_regions"])]
    arn: Option<LayerArn>,

    /// The repository on GitHub whose release workflow has to have attested the zip; asks `gh`
    #[arg(long, value_name = "OWNER/NAME", requires = "arn")]
    repository: Option<String>,

    /// Also fail for regions that the account has enabled and that have no layer
    #[arg(long, conflicts_with_all = ["as_stranger", "arn", "regions"])]
    all_regions: bool,

    /// Write what differs into this file, in Markdown; it is empty if nothing does, and missing if nothing was compared
    #[arg(long, value_name = "FILE", conflicts_with = "arn")]
    report: Option<PathBuf>,

    /// Only these regions; patterns like `eu-*` too
    #[arg(long, visible_alias = "region", value_name = "REGION,…", value_delimiter = ',')]
    regions: Vec<RegionPattern>,

    #[command(flatten)]
    account_options: AccountOptions,
}

impl Verify {
    pub(crate) fn run(&self, ui: &Ui) -> Result<(), Failure> {
        if let Some(arn) = &self.arn {
            return account::runtime()?.block_on(self.verify_arn(ui, arn));
        }
        let manifest = manifest::open(&self.dist)?;
        self.compare_zips(ui, &manifest)?;
        account::runtime()?.block_on(self.verify(ui, &manifest))
    }

    /// Fails if the zips beside the manifest differ from those that it lists. Zips of another release are not compared.
    fn compare_zips(&self, ui: &Ui, manifest: &LayersManifest) -> Result<(), Failure> {
        let bundle = match Bundle::open(&self.dist, None) {
            Ok(bundle) => bundle,
            Err(BundleError::Manifest(BuildManifestError::NotBuilt(_))) => {
                ui.status("Zips", "there are no zips here; comparing only with layers.json");
                return Ok(());
            }
            Err(error) => return Err(Failure::new(error).hint("build again: ci/build")),
        };
        if (bundle.version.as_str(), bundle.commit())
            != (manifest.version.as_str(), manifest.commit.as_deref())
        {
            let text = "the zips here belong to another release than layers.json, so they are not compared";
            let commit = |commit: Option<&str>| commit.unwrap_or("other layers").to_owned();
            ui.warning(format!(
                "{text}: {} ({}), {} ({})",
                bundle.version,
                commit(bundle.commit()),
                manifest.version,
                commit(manifest.commit.as_deref())
            ));
            return Ok(());
        }
        for zip in &bundle.zips {
            if let Some(layer) = manifest.layer(zip.variant).filter(|layer| layer.sha256 != zip.digest) {
                let text = format!(
                    "the {} zip here has sha256 {}, but layers.json has {} for the same version and commit",
                    zip.variant, zip.digest, layer.sha256
                );
                return Err(Failure::message(Code::Failed, text)
                    .hint("the build was not reproducible, or one of the two was changed: find out which"));
            }
        }
        Ok(())
    }

    async fn verify(&self, ui: &Ui, manifest: &LayersManifest) -> Result<(), Failure> {
        let all: Vec<&RegionName> = manifest.all().flat_map(|(_, layer)| layer.regions.keys()).collect();
        if let Some(lacking) = self.regions.iter().find(|wanted| !all.iter().any(|it| wanted.matches(it))) {
            let text = format!("layers.json has no layer in {lacking}");
            return Err(
                Failure::message(Code::Failed, text).hint("leave out --regions to verify all that it has")
            );
        }
        let is_wanted = |region: &RegionName| {
            self.regions.is_empty() || self.regions.iter().any(|wanted| wanted.matches(region))
        };
        let regions: Vec<&RegionName> = all.into_iter().filter(|region| is_wanted(region)).collect();
        let one_partition = regions
            .windows(2)
            .all(|pair| pair.first().map(|r| r.partition()) == pair.last().map(|r| r.partition()));
        let partition_hint = regions.first().copied().filter(|_| one_partition);
        let (session, identity) = account::open_session(ui, &self.account_options, partition_hint).await?;
        let is_owner = manifest.accounts.get(&identity.partition) == Some(&identity.account);
        if self.as_stranger && is_owner {
            let text = format!(
                "these credentials belong to {}, which owns the layers, so they prove nothing",
                identity.account
            );
            return Err(Failure::message(Code::Failed, text)
                .hint("choose credentials of another account with --profile"));
        }
        if !self.as_stranger && !is_owner {
            let owners: Vec<String> = manifest
                .accounts
                .iter()
                .map(|(partition, account)| format!("{account} ({partition})"))
                .collect();
            let owners = owners.join(", ");
            let account = &identity.account;
            let partition = identity.partition;
            let text = format!(
                "the layers belong to account {owners}, these credentials to {account} ({partition})"
            );
            return Err(Failure::message(Code::Failed, text).hint(
                "choose the owner's credentials with --profile, or check with --as-stranger what this account can read",
            ));
        }
        let elsewhere = regions.iter().filter(|region| region.partition() != identity.partition).count();
        if elsewhere > 0 {
            ui.warning(format!(
                "{elsewhere} layer versions are in other partitions, and not checked: run verify there as well"
            ));
        }
        let other = match &self.other {
            None => None,
            Some(profile) => {
                let options = self.account_options.aws.with_profile(profile);
                let (other, theirs) =
                    account::open_session_of_any_account(ui, &options, partition_hint).await?;
                if theirs.account == identity.account {
                    let text = format!(
                        "the profile `{profile}` belongs to the owner's account, so it proves nothing"
                    );
                    return Err(
                        Failure::message(Code::Failed, text).hint("name a profile of another account")
                    );
                }
                Some(other)
            }
        };
        let viewpoint = if self.as_stranger { Viewpoint::Stranger } else { Viewpoint::Owner };
        let mut tasks = JoinSet::new();
        let downloads = Arc::new(Semaphore::new(if self.download { DOWNLOADS } else { 0 }));
        for subject in subjects(manifest, &session, other.as_ref()) {
            if subject.region.partition() == identity.partition && is_wanted(&subject.region) {
                let session = Arc::clone(&session);
                let downloads = Arc::clone(&downloads);
                let download = self.download;
                tasks.spawn(async move {
                    check(&subject, viewpoint, &session, download.then_some(&*downloads)).await
                });
            }
        }
        let mut checks = tasks.join_all().await;
        checks.sort_by(|a, b| (&a.region, a.variant).cmp(&(&b.region, b.variant)));
        let github_result = report_to_github(manifest, &checks);
        let mut last = self.fewer.last_regions()?;
        last.add(manifest);
        let missing = self.fewer.missing(&last, &manifest.present());
        let uncovered = self.uncovered(&session, &identity, manifest, &missing).await?;
        if let Some(file) = &self.report {
            difference_report::write(file, manifest, &checks, &missing, &uncovered)?;
        }
        let shown = show(ui, &checks)
            .and_then(|()| fewer_regions::failure(&missing, identity.partition, |_| None).map_or(Ok(()), Err))
            .and_then(|()| coverage::failure(&uncovered).map_or(Ok(()), Err));
        match (shown, github_result) {
            (Ok(()), github_result) => github_result,
            (failed, github_result) => {
                github_result.unwrap_or_else(|error| ui.warning(error.text()));
                failed
            }
        }
    }
}

fn subjects(
    manifest: &LayersManifest,
    session: &Arc<Session>,
    other: Option<&Arc<Session>>,
) -> Vec<PublishedLayer> {
    let mut clients = BTreeMap::new();
    let mut all = Vec::new();
    for (variant, layer) in manifest.all() {
        let other_layer = manifest.other_layer.as_ref();
        let license = other_layer.map_or_else(|| plan::license(variant.kind), |layer| layer.license.as_str());
        for (region, place) in &layer.regions {
            let (layers, other) = clients
                .entry(region)
                .or_insert_with(|| {
                    let of = |session| RegionLayers::new(session, region);
                    (of(session), other.map(of))
                })
                .clone();
            let wanted = Wanted {
                variant,
                layer: layer.name.clone(),
                digest: layer.sha256,
                size: layer.size,
                runtimes: layer.runtimes.clone().unwrap_or_default(),
                license: license.to_owned(),
                audience: place.grant.clone(),
            };
            all.push(PublishedLayer { wanted, region: region.clone(), place: place.clone(), layers, other });
        }
    }
    all
}

/// Writes the summary and the outputs of the workflow step, if GitHub Actions runs this command.
fn report_to_github(manifest: &LayersManifest, checks: &[Check]) -> Result<(), Failure> {
    let step = WorkflowStep::from_env();
    let version = &manifest.version;
    let bad: Vec<&Check> = checks.iter().filter(|check| !check.ok).collect();
    step.summary(&if bad.is_empty() {
        format!("### {} layer versions of {version} are as layers.json says", checks.len())
    } else {
        let count = format!("{} of {} layer versions of {version}", bad.len(), checks.len());
        format!("### {count} are not as layers.json says\n\n`````text\n{}\n`````", table(bad))
    })?;
    step.output("version", version)?;
    step.output("layers", &serde_json::to_string(manifest).map_err(Failure::new)?)?;
    Ok(())
}

fn table<'a>(checks: impl IntoIterator<Item = &'a Check>) -> String {
    let line = |check: &Check| {
        let state = if check.ok { "ok" } else { "differs" };
        let state = if check.error.is_some() { "not read" } else { state };
        let state = if check.ok && check.unknown.is_some() { "unknown" } else { state };
        let mut notes: Vec<String> = check.differences.iter().map(ToString::to_string).collect();
        notes.extend(check.error.clone());
        notes.extend(check.unknown.clone());
        [check.region.to_string(), check.variant.to_string(), state.to_owned(), notes.join("; ")]
    };
    ui::table(["region", "layer", "state", ""], checks.into_iter().map(line))
}

fn show(ui: &Ui, checks: &[Check]) -> Result<(), Failure> {
    if ui.json() {
        ui.result(serde_json::to_string_pretty(checks).map_err(Failure::new)?);
    } else {
        ui.result(table(checks));
    }
    let bad = checks.iter().filter(|check| !check.ok).count();
    if checks.is_empty() {
        return Err(Failure::message(Code::Failed, "layers.json lists no region at all")
            .hint("publish with `publisher publish --execute`"));
    }
    if bad > 0 {
        let text = format!("{bad} of {} layer versions are not as layers.json says", checks.len());
        return Err(Failure::message(Code::Failed, text)
            .hint("`publisher publish` shows how to repair them; with --execute it repairs them"));
    }
    let unknown = checks.iter().filter(|check| check.unknown.is_some());
    let regions: BTreeSet<&str> = unknown.clone().map(|check| check.region.as_str()).collect();
    if unknown.count() == checks.len() {
        let text = "the other account could not check any layer";
        return Err(Failure::message(Code::Failed, text)
            .hint("choose an account that has regions of layers.json enabled"));
    }
    if !regions.is_empty() {
        let regions: Vec<&str> = regions.into_iter().collect();
        ui.warning(format_args!(
            "not proven for the other account, which does not have these regions enabled: {}",
            regions.join(" ")
        ));
    }
    ui.status("Verified", format!("{} layer versions are as layers.json says", checks.len()));
    Ok(())
}
