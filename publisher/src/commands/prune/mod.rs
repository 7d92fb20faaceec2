//! `publisher prune`: lists old versions that are superfluous, and deletes them with `--execute`.

mod region;
mod subject;

use crate::{
    artifacts::layers_manifest::LayersManifest,
    aws::{layers::RegionLayers, regions::RegionChoice},
    commands::common::{
        account::{self, AccountOptions, RegionOptions, execute_command, same_command},
        execute::ExecuteOptions,
        manifest,
    },
    failure::{Code, Failure},
    model::{arch::Arch, layer_arch::LayerArch, variant::LayerKind},
    ui::{self, Ui},
};
use region::{PruneRequest, PruneResult, RegionPruner};
use std::{path::PathBuf, sync::Arc};
use tokio::task::JoinSet;

/// Arguments of `publisher prune`.
#[derive(clap::Args)]
pub(crate) struct Prune {
    /// Keep so many of the newest releases in each region; the newest one always stays
    #[arg(long, value_name = "N")]
    keep: usize,

    /// The folder with layers.json; every version that it names is kept
    #[arg(long, value_name = "DIR", default_value = "dist")]
    dist: PathBuf,

    /// Keep what these layers.json name as well: those of other releases that are still in use
    #[arg(long, value_name = "FILE")]
    manifest: Vec<PathBuf>,

    /// The layers' names, where they are not those of layers.json: {arch} is filled in, and {major} {minor} {patch}
    /// stand for any release
    #[arg(long, value_name = "TEMPLATE")]
    layer_name: Option<String>,

    /// The same of the layers with Relay
    #[arg(long, value_name = "TEMPLATE")]
    relay_layer_name: Option<String>,

    #[command(flatten)]
    regions: RegionOptions,

    #[command(flatten)]
    act: ExecuteOptions,

    #[command(flatten)]
    account_options: AccountOptions,
}

impl Prune {
    pub(crate) fn run(&self, ui: &Ui) -> Result<(), Failure> {
        let mut manifests = vec![manifest::open(&self.dist)?];
        for path in &self.manifest {
            manifests.push(LayersManifest::read(path).map_err(|error| {
                Failure::new(error).hint("nothing was deleted; give only manifests that can be read")
            })?);
        }
        let mut subjects = Vec::new();
        let arches = arches(&manifests);
        for (kind, template) in
            [(LayerKind::Plain, &self.layer_name), (LayerKind::Relay, &self.relay_layer_name)]
        {
            match template {
                Some(template) => subjects.extend(subject::of_template(kind, template, &arches)?),
                None => subjects.extend(subject::of_manifests(kind, &manifests)),
            }
        }
        let request = PruneRequest { manifests, subjects, keep: self.keep, execute: self.act.execute };
        account::runtime()?.block_on(self.prune(ui, &Arc::new(request)))
    }

    async fn prune(&self, ui: &Ui, request: &Arc<PruneRequest>) -> Result<(), Failure> {
        let regions = self.regions.regions.clone();
        let exclude = self.regions.exclude.clone();
        let choice = RegionChoice { regions, optional: Vec::new(), exclude };
        let partition_hint = account::region_in_partition(&choice);
        let (session, identity) =
            account::open_session(ui, &self.account_options, partition_hint.as_ref()).await?;
        for manifest in &request.manifests {
            let owner = manifest.accounts.get(&identity.partition);
            if let Some(owner) = owner.filter(|owner| **owner != identity.account) {
                let text = format!(
                    "layers.json belongs to account {owner}, these credentials to {}",
                    identity.account
                );
                return Err(Failure::message(Code::Failed, text)
                    .hint("choose the owner's credentials with --profile"));
            }
        }
        let selection = account::select(ui, &session, &identity, &choice).await?;
        let mut tasks = JoinSet::new();
        for target in &selection.targets {
            let region = RegionPruner::new(request, target, RegionLayers::new(&session, &target.region));
            tasks.spawn(async move { region.prune().await });
        }
        let mut results = Vec::new();
        while let Some(region) = tasks.join_next().await {
            let region = region.map_err(Failure::new)?;
            for result in region.iter().filter(|result| !result.deleted.is_empty()) {
                let deleted = list(&result.deleted);
                ui.status("Deleted", format!("{} {}: {deleted}", result.region, result.layer));
            }
            results.extend(region);
        }
        // The sort is stable, so the results of a variant in a region stay in the order of their releases.
        results.sort_by(|a, b| (&a.region, a.variant).cmp(&(&b.region, b.variant)));
        self.show(ui, &results)
    }

    fn show(&self, ui: &Ui, results: &[PruneResult]) -> Result<(), Failure> {
        if ui.json() {
            ui.result(serde_json::to_string_pretty(results).map_err(Failure::new)?);
        } else {
            ui.result(table(results, ui.results_are_seen()));
        }
        let superfluous: usize = results.iter().map(|result| result.superfluous.len()).sum();
        let deleted: usize = results.iter().map(|result| result.deleted.len()).sum();
        let reasons = |required: bool| -> Vec<String> {
            let of_these = results.iter().filter(|result| result.required == required);
            let reason = |result: &PruneResult| {
                Some(format!("{} {}: {}", result.region, result.layer, result.error.as_ref()?))
            };
            of_these.filter_map(reason).collect()
        };
        let failed = reasons(true);
        for reason in reasons(false) {
            ui.warning(format!("optional and not pruned: {reason}"));
        }
        if self.act.execute {
            ui.status("Finished", format!("{deleted} of {superfluous} superfluous versions deleted"));
        } else if superfluous > 0 {
            let next = execute_command();
            ui.status(
                "Note",
                format!("{superfluous} superfluous versions, nothing was deleted; to carry it out:  {next}"),
            );
        } else {
            ui.status("Planned", "nothing to do");
        }
        if failed.is_empty() {
            return Ok(());
        }
        let text = format!("not all regions are pruned:\n  {}", failed.join("\n  "));
        Err(Failure::message(Code::Incomplete, text).hint(format!(
            "deleting needs lambda:DeleteLayerVersion; run the same command again to continue:\n  {}",
            same_command()
        )))
    }
}

/// The architectures that a template is expanded to: both, or those of the layers if they are not the extension's.
fn arches(manifests: &[LayersManifest]) -> Vec<LayerArch> {
    match manifests.first().filter(|manifest| manifest.other_layer.is_some()) {
        Some(manifest) => manifest.layers.keys().copied().collect(),
        None => Arch::ALL.map(LayerArch::from).to_vec(),
    }
}

/// With `seen`, the reasons of failures are seen elsewhere.
fn table(results: &[PruneResult], seen: bool) -> String {
    let header = ["region", "layer", "versions", "kept by layers.json", "superfluous", ""];
    let row = |result: &PruneResult| {
        [
            result.region.to_string(),
            result.layer.clone(),
            result.versions.to_string(),
            list(&result.kept_by_manifest),
            list(&result.superfluous),
            match &result.error {
                Some(_) if seen => "failed".to_owned(),
                error => error.clone().unwrap_or_default(),
            },
        ]
    };
    ui::table(header, results.iter().map(row))
}

fn list(numbers: &[i64]) -> String {
    numbers.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}
