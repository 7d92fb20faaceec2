//! `publisher prune`: old versions that nobody needs any more, and with --execute their end.

use super::{
    account::{self, AccountOptions, RegionOptions, command},
    arn::open_manifest,
};
use crate::{
    aws::{layers::RegionLayers, partition::RegionName, regions::Choice, regions::Target},
    failure::{Code, Failure, chain},
    release::{
        kind::{LayerKind, Variant},
        layer_name::{self, LayerName},
        layers::LayersManifest,
        report, retention,
        rollout::RolloutError,
    },
    ui::Ui,
};
use serde::Serialize;
use std::{collections::BTreeSet, path::PathBuf};
use tokio::task::JoinSet;

/// Arguments of `publisher prune`.
#[derive(clap::Args)]
pub struct Prune {
    /// Keep so many of the newest versions in each region
    #[arg(long, value_name = "N")]
    keep: usize,

    /// The folder with layers.json; every version that it names is kept
    #[arg(long, value_name = "DIR", default_value = "dist")]
    dist: PathBuf,

    /// Keep what these layers.json name as well: those of other releases that are still in use
    #[arg(long, value_name = "FILE")]
    manifest: Vec<PathBuf>,

    /// The layers' names, where they are not those of layers.json; {arch} is filled in
    #[arg(long, value_name = "TEMPLATE")]
    layer_name: Option<String>,

    /// The same of the layers with Relay
    #[arg(long, value_name = "TEMPLATE")]
    relay_layer_name: Option<String>,

    #[command(flatten)]
    regions: RegionOptions,

    /// Do what the plan says; without this, nothing is deleted
    #[arg(long)]
    execute: bool,

    #[command(flatten)]
    account_options: AccountOptions,
}

/// One layer in one region.
#[derive(Serialize)]
struct Outcome {
    region: RegionName,
    #[serde(flatten)]
    variant: Variant,
    layer: LayerName,
    versions: usize,
    kept_by_manifest: Vec<i64>,
    superfluous: Vec<i64>,
    deleted: Vec<i64>,
    error: Option<String>,
}

impl Prune {
    /// Does it.
    pub fn run(&self, ui: &Ui) -> Result<(), Failure> {
        let mut manifests = vec![open_manifest(&self.dist)?];
        for path in &self.manifest {
            manifests.push(LayersManifest::read(path).map_err(|error| {
                Failure::new(error).hint("nothing was deleted; give only manifests that can be read")
            })?);
        }
        let names = self.names(&manifests)?;
        account::runtime()?.block_on(self.prune(ui, &manifests, &names))
    }

    fn names(&self, manifests: &[LayersManifest]) -> Result<Vec<(Variant, LayerName)>, Failure> {
        let templates = [(LayerKind::Plain, &self.layer_name), (LayerKind::Relay, &self.relay_layer_name)];
        let mut names = Vec::new();
        for (kind, template) in templates {
            match template {
                Some(template) => names.extend(of_template(kind, template)?),
                None => names.extend(of_manifests(kind, manifests)),
            }
        }
        Ok(names)
    }

    async fn prune(
        &self,
        ui: &Ui,
        manifests: &[LayersManifest],
        names: &[(Variant, LayerName)],
    ) -> Result<(), Failure> {
        let (regions, exclude) = (self.regions.regions.clone(), self.regions.exclude.clone());
        let choice = Choice { regions, optional: Vec::new(), exclude };
        let near = account::near(&choice);
        let (session, identity) = account::enter(ui, &self.account_options, near.as_ref()).await?;
        for manifest in manifests {
            let owner = manifest.accounts.get(&identity.partition);
            if let Some(owner) = owner.filter(|owner| **owner != identity.account) {
                let text =
                    format!("layers.json is of account {owner}, these credentials of {}", identity.account);
                return Err(Failure::message(Code::Failed, text).hint("choose the owner's with --profile"));
            }
        }
        let selection = account::select(ui, &session, &identity, &choice).await?;
        let mut tasks = JoinSet::new();
        for target in &selection.targets {
            let layers = RegionLayers::new(&session, &target.region);
            for (variant, layer) in names {
                let (layers, target) = (layers.clone(), target.clone());
                let (variant, layer, keep, execute) = (*variant, layer.clone(), self.keep, self.execute);
                let spared = named(manifests, &target.region, &layer);
                tasks.spawn(
                    async move { one(&layers, &target, variant, layer, &spared, keep, execute).await },
                );
            }
        }
        let mut outcomes = Vec::new();
        while let Some(outcome) = tasks.join_next().await {
            let (outcome, required) = outcome.map_err(Failure::new)?;
            if self.execute && !outcome.deleted.is_empty() {
                let (region, layer, gone) = (&outcome.region, &outcome.layer, list(&outcome.deleted));
                ui.status("Deleted", format!("{region} {layer}: {gone}"));
            }
            outcomes.push((outcome, required));
        }
        outcomes.sort_by(|(a, _), (b, _)| {
            (&a.region, a.variant, a.layer.as_str()).cmp(&(&b.region, b.variant, b.layer.as_str()))
        });
        self.show(ui, &outcomes)
    }

    fn show(&self, ui: &Ui, outcomes: &[(Outcome, bool)]) -> Result<(), Failure> {
        if ui.json() {
            let all: Vec<&Outcome> = outcomes.iter().map(|(outcome, _)| outcome).collect();
            ui.result(serde_json::to_string_pretty(&all).map_err(Failure::new)?);
        } else {
            let head = ["region", "layer", "versions", "kept by layers.json", "superfluous", ""];
            let line = |(outcome, _): &(Outcome, bool)| {
                let error = outcome.error.clone().unwrap_or_default();
                let (kept, gone) = (list(&outcome.kept_by_manifest), list(&outcome.superfluous));
                vec![
                    outcome.region.to_string(),
                    outcome.layer.to_string(),
                    outcome.versions.to_string(),
                    kept,
                    gone,
                    error,
                ]
            };
            let lines = std::iter::once(head.map(str::to_owned).to_vec()).chain(outcomes.iter().map(line));
            ui.result(report::columns(lines));
        }
        let superfluous: usize = outcomes.iter().map(|(outcome, _)| outcome.superfluous.len()).sum();
        let deleted: usize = outcomes.iter().map(|(outcome, _)| outcome.deleted.len()).sum();
        let failed: Vec<String> = outcomes
            .iter()
            .filter(|(_, required)| *required)
            .filter_map(|(o, _)| Some(format!("{} {}: {}", o.region, o.layer, o.error.as_ref()?)))
            .collect();
        if self.execute {
            ui.status("Finished", format!("{deleted} of {superfluous} superfluous versions deleted"));
        } else if superfluous > 0 {
            let next = command(" --execute");
            ui.status(
                "Note",
                format!("{superfluous} superfluous versions, nothing was deleted; to act:  {next}"),
            );
        } else {
            ui.status("Planned", "nothing to do");
        }
        if failed.is_empty() {
            return Ok(());
        }
        let text = format!("not all regions are pruned:\n  {}", failed.join("\n  "));
        Err(Failure::message(Code::Incomplete, text).hint(format!(
            "deleting needs lambda:DeleteLayerVersion; run the same again to go on:\n  {}",
            command("")
        )))
    }
}

/// All names that the layers of a kind have in any of the manifests.
fn of_manifests(kind: LayerKind, manifests: &[LayersManifest]) -> Vec<(Variant, LayerName)> {
    let layers = manifests.iter().flat_map(|manifest| manifest.layers(kind));
    let mut names: Vec<_> =
        layers.map(|(arch, layer)| (Variant::new(*arch, kind), layer.name.clone())).collect();
    names.sort_by(|(a, one), (b, other)| (a, one.as_str()).cmp(&(b, other.as_str())));
    names.dedup();
    names
}

fn of_template(kind: LayerKind, template: &str) -> Result<Vec<(Variant, LayerName)>, Failure> {
    if layer_name::names_the_release(template) {
        let text = "where the release is in the name, each layer has the versions of one release only";
        return Err(Failure::message(Code::Usage, text)
            .hint("delete such layers one by one: --layer-name with the whole name, and --keep 0"));
    }
    let names =
        layer_name::names(template, "0.0.0").map_err(|error| Failure::message(Code::Usage, chain(&error)))?;
    Ok(names.map(|(arch, name)| (Variant::new(arch, kind), name)).to_vec())
}

fn named(manifests: &[LayersManifest], region: &RegionName, layer: &LayerName) -> BTreeSet<i64> {
    let layers = manifests.iter().flat_map(LayersManifest::all).map(|(_, layer)| layer);
    layers
        .filter(|l| l.name == *layer)
        .filter_map(|l| l.regions.get(region))
        .map(|place| place.version)
        .collect()
}

async fn one(
    layers: &RegionLayers,
    target: &Target,
    variant: Variant,
    layer: LayerName,
    named: &BTreeSet<i64>,
    keep: usize,
    execute: bool,
) -> (Outcome, bool) {
    let (mut versions, mut superfluous, mut deleted) = (Vec::new(), Vec::new(), Vec::new());
    let mut error = target.disabled.as_ref().map(|status| format!("the region is {status} in this account"));
    if error.is_none() {
        match layers.list(layer.as_str()).await {
            Ok(listed) => versions.extend(listed.iter().map(|listed| listed.number)),
            Err(cause) => error = Some(chain(&RolloutError::in_region(cause))),
        }
        superfluous = retention::superfluous(&versions, named, keep);
    }
    if execute {
        // The oldest first: what is interrupted leaves the newer ones.
        for number in superfluous.iter().rev() {
            if let Err(cause) = layers.delete(layer.as_str(), *number).await {
                error = Some(chain(&cause));
                break;
            }
            deleted.push(*number);
        }
    }
    let kept_by_manifest = named.iter().copied().filter(|number| versions.contains(number)).collect();
    let region = target.region.clone();
    let outcome = Outcome {
        region,
        variant,
        layer,
        versions: versions.len(),
        kept_by_manifest,
        superfluous,
        deleted,
        error,
    };
    (outcome, target.required)
}

fn list(numbers: &[i64]) -> String {
    numbers.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}
