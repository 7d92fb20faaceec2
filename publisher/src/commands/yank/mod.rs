//! `publisher yank`: withdraws a bad release, or takes that back with `--undo`.
//!
//! The mark in `layers.json` is written first, so that nobody is told the ARNs while the grants are being removed. What
//! is done in each region can be seen in AWS, so an interrupted run is completed by running it again.

mod placement;
mod report;

use crate::{
    artifacts::{
        atomic_file::AtomicFile,
        layers_manifest::{self, Layer, LayersManifest, Reason},
    },
    aws::{
        identity::Identity, layers::RegionLayers, partition::RegionName, regions::RegionPattern,
        session::Session,
    },
    commands::common::{
        account::{self, AccountOptions},
        execute::ExecuteOptions,
        manifest,
    },
    failure::{Code, Failure},
    model::{time, variant::Variant},
    ui::Ui,
};
use placement::{Direction, PlacedVersion, State, YankResult};
use report::Rest;
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};
use tokio::task::JoinSet;

/// Arguments of `publisher yank`.
#[derive(clap::Args)]
pub(crate) struct Yank {
    /// The release to withdraw, as its layers.json names it
    #[arg(value_name = "VERSION")]
    release: String,

    /// Why; whoever asks for the release is told
    #[arg(long, value_name = "TEXT", conflicts_with = "undo")]
    reason: Option<Reason>,

    /// Give the release back to those who could use it before, and remove the mark
    #[arg(long)]
    undo: bool,

    /// The folder with the release's layers.json, which is marked
    #[arg(long, value_name = "DIR", default_value = "dist")]
    dist: PathBuf,

    /// The release's layers.json, where the folder has that of another release; it is marked instead
    #[arg(long, value_name = "FILE")]
    manifest: Option<PathBuf>,

    /// Only these regions; patterns like `eu-*` too
    #[arg(long, visible_alias = "region", value_name = "REGION,…", value_delimiter = ',')]
    regions: Vec<RegionPattern>,

    #[command(flatten)]
    act: ExecuteOptions,

    #[command(flatten)]
    account_options: AccountOptions,
}

impl Yank {
    fn direction(&self) -> Direction {
        if self.undo { Direction::Undo } else { Direction::Yank }
    }

    /// The release without the `v` that its tag has.
    fn version(&self) -> &str {
        self.release.strip_prefix('v').unwrap_or(&self.release)
    }

    pub(crate) fn run(&self, ui: &Ui) -> Result<(), Failure> {
        let (path, mut manifest) = match &self.manifest {
            Some(path) => {
                let read = LayersManifest::read(path);
                let hint = "--manifest names the layers.json of the release; nothing was changed";
                (path.clone(), read.map_err(|error| Failure::new(error).hint(hint))?)
            }
            None => (self.dist.join(layers_manifest::FILE), manifest::open(&self.dist)?),
        };
        if manifest.version != self.version() {
            let text = format!("{} is of {}, not of {}", path.display(), manifest.version, self.version());
            return Err(Failure::message(Code::Failed, text).hint(
                "name the layers.json of that release with --manifest: it is among the files of the release, and in \
                 the git history. A version without one was never released",
            ));
        }
        account::runtime()?.block_on(self.yank(ui, &path, &mut manifest))
    }

    async fn yank(&self, ui: &Ui, path: &Path, manifest: &mut LayersManifest) -> Result<(), Failure> {
        let wanted = self.wanted_regions(manifest)?;
        let (session, identity) = account::open_session(ui, &self.account_options, wanted.first()).await?;
        check_owner(manifest, &identity)?;
        let versions: Vec<PlacedVersion> = placed_versions(manifest, &session)
            .into_iter()
            .filter(|it| wanted.contains(&it.region) && it.region.partition() == identity.partition)
            .collect();
        if versions.is_empty() {
            let text = format!("none of these regions is in the partition {}", identity.partition);
            return Err(Failure::message(Code::Failed, text)
                .hint("choose credentials for the partition of the regions with --profile"));
        }
        let mut results = self.all(&versions, false).await?;
        if self.act.execute {
            // If the mark could not be written, this run has to fail before it changes anything.
            let file = AtomicFile::of(path).map_err(Failure::new)?;
            if !self.undo {
                manifest.mark_yanked(time::now(), self.reason.clone());
                manifest.write(AtomicFile::of(path).map_err(Failure::new)?).map_err(Failure::new)?;
            }
            let is_to_do = |it: &&PlacedVersion| {
                let here = |result: &&YankResult| result.region == it.region && result.variant == it.variant;
                results.iter().find(here).is_some_and(|result| result.state == State::ToDo)
            };
            let to_do: Vec<PlacedVersion> = versions.iter().filter(is_to_do).cloned().collect();
            for done in self.all(&to_do, true).await? {
                let same = |it: &&mut YankResult| it.region == done.region && it.variant == done.variant;
                if let Some(result) = results.iter_mut().find(same) {
                    // The table shows who could use it before this run.
                    let before = result.before.take().or(done.before);
                    *result = YankResult { before, error: done.error, state: done.state, ..result.clone() };
                }
            }
            self.record(manifest, &results);
            manifest.write(file).map_err(Failure::new)?;
            ui.status("Wrote", path.display());
        }
        let rest =
            Rest { marked: manifest.yanked.is_some(), elsewhere: self.left_elsewhere(manifest, &results) };
        self.report(ui, &results, &rest)
    }

    /// Inspects or changes all versions at the same time. Each region has its own limit of requests per second.
    async fn all(&self, versions: &[PlacedVersion], execute: bool) -> Result<Vec<YankResult>, Failure> {
        let direction = self.direction();
        let mut tasks = JoinSet::new();
        for version in versions {
            let version = version.clone();
            tasks.spawn(async move {
                if execute { version.carry_out(direction).await } else { version.inspect(direction).await }
            });
        }
        let mut results = Vec::new();
        while let Some(result) = tasks.join_next().await {
            results.push(result.map_err(Failure::new)?);
        }
        results.sort_by(|a, b| (&a.region, a.variant).cmp(&(&b.region, b.variant)));
        Ok(results)
    }

    /// Notes in the manifest what was read back.
    fn record(&self, manifest: &mut LayersManifest, results: &[YankResult]) {
        let now = time::now();
        for result in results {
            let Some(place) = manifest.placement_mut(result.variant, &result.region) else { continue };
            match (self.direction(), result.state) {
                (_, State::Failed | State::ToDo) => {}
                (Direction::Yank, _) => place.withdraw(now.clone()),
                (Direction::Undo, _) => place.restore(now.clone()),
            }
        }
        if self.undo {
            manifest.unmark_yanked();
        }
    }

    /// The number of versions that are not part of this run and are not in the wanted state.
    fn left_elsewhere(&self, manifest: &LayersManifest, results: &[YankResult]) -> usize {
        let in_run = |variant: Variant, region: &RegionName| {
            results.iter().any(|it| it.variant == variant && it.region == *region)
        };
        let left_of = |(variant, layer): (Variant, &Layer)| {
            let regions = layer.regions.iter();
            let left = regions.filter(|(region, place)| {
                !in_run(variant, region) && place.grant_before_yank.is_some() == self.undo
            });
            left.count()
        };
        manifest.all().map(left_of).sum()
    }

    /// The regions of the manifest that `--regions` selects.
    fn wanted_regions(&self, manifest: &LayersManifest) -> Result<Vec<RegionName>, Failure> {
        let mut all: Vec<RegionName> =
            manifest.all().flat_map(|(_, layer)| layer.regions.keys().cloned()).collect();
        all.sort();
        all.dedup();
        if let Some(lacking) = self.regions.iter().find(|wanted| !all.iter().any(|it| wanted.matches(it))) {
            let text = format!("{} has no layer in {lacking}", manifest.version);
            return Err(
                Failure::message(Code::Failed, text).hint("leave out --regions to withdraw it everywhere")
            );
        }
        if !self.regions.is_empty() {
            all.retain(|region| self.regions.iter().any(|wanted| wanted.matches(region)));
        }
        if all.is_empty() {
            let text = format!("{} was never published to any region", manifest.version);
            return Err(Failure::message(Code::Failed, text).hint("there is nothing to withdraw"));
        }
        Ok(all)
    }
}

fn placed_versions(manifest: &LayersManifest, session: &Arc<Session>) -> Vec<PlacedVersion> {
    let mut clients: BTreeMap<&RegionName, RegionLayers> = BTreeMap::new();
    let mut versions = Vec::new();
    for (variant, layer) in manifest.all() {
        for (region, place) in &layer.regions {
            let layers = clients.entry(region).or_insert_with(|| RegionLayers::new(session, region));
            versions.push(PlacedVersion {
                variant,
                region: region.clone(),
                layer: layer.name.clone(),
                digest: layer.sha256,
                place: place.clone(),
                layers: layers.clone(),
            });
        }
    }
    versions
}

fn check_owner(manifest: &LayersManifest, identity: &Identity) -> Result<(), Failure> {
    let owner = manifest.accounts.get(&identity.partition);
    if owner == Some(&identity.account) {
        return Ok(());
    }
    let owner = owner.map_or_else(|| "another partition".to_owned(), |owner| format!("account {owner}"));
    let text = format!("the layers belong to {owner}, these credentials to account {}", identity.account);
    Err(Failure::message(Code::Failed, text).hint("choose the owner's credentials with --profile"))
}
