//! `publisher verify`: everything in `dist/layers.json`, read back and compared.

use super::{arn::open_manifest, publish::enter};
use crate::{
    arch::Arch,
    aws::{layers::RegionLayers, partition::RegionName, session::AwsOptions},
    failure::{Code, Failure},
    release::{
        layers::{LayersManifest, Placement},
        plan::{Difference, Wanted},
        report,
        rollout::RolloutError,
    },
    ui::Ui,
};
use serde::Serialize;
use std::{collections::BTreeMap, path::PathBuf};
use tokio::task::JoinSet;

/// Arguments of `publisher verify`.
#[derive(clap::Args)]
pub struct Verify {
    /// The folder with layers.json
    #[arg(long, value_name = "DIR", default_value = "dist")]
    dist: PathBuf,

    #[command(flatten)]
    aws: AwsOptions,
}

/// One region and architecture.
#[derive(Serialize)]
struct Check {
    region: RegionName,
    arch: Arch,
    arn: String,
    ok: bool,
    differences: Vec<Difference>,
    error: Option<String>,
}

impl Verify {
    /// Does it.
    pub fn run(&self, ui: &Ui) -> Result<(), Failure> {
        let manifest = open_manifest(&self.dist)?;
        super::publish::runtime()?.block_on(self.verify(ui, &manifest))
    }

    async fn verify(&self, ui: &Ui, manifest: &LayersManifest) -> Result<(), Failure> {
        let near = manifest.layers.values().find_map(|layer| layer.regions.keys().next());
        let (session, identity) = enter(ui, &self.aws, near).await?;
        if (&identity.account, identity.partition) != (&manifest.account, manifest.partition) {
            let text = format!(
                "the layers are of account {} ({}), these credentials of {} ({})",
                manifest.account, manifest.partition, identity.account, identity.partition
            );
            return Err(Failure::message(Code::Failed, text).hint("choose the owner's with --profile"));
        }
        let mut clients = BTreeMap::new();
        let mut tasks = JoinSet::new();
        for (arch, layer) in &manifest.layers {
            let wanted =
                Wanted { arch: *arch, layer: layer.name.clone(), digest: layer.sha256, size: layer.size };
            for (region, place) in &layer.regions {
                let client = clients.entry(region).or_insert_with(|| RegionLayers::new(&session, region));
                let layers = client.clone();
                let (wanted, region, place) = (wanted.clone(), region.clone(), place.clone());
                tasks.spawn(async move { check(&layers, &wanted, region, &place).await });
            }
        }
        let mut checks = tasks.join_all().await;
        checks.sort_by(|a, b| (&a.region, a.arch).cmp(&(&b.region, b.arch)));
        show(ui, &checks)
    }
}

async fn check(layers: &RegionLayers, wanted: &Wanted, region: RegionName, place: &Placement) -> Check {
    let (differences, error) = match layers.read(wanted.layer.as_str(), place.version).await {
        Ok(Some(found)) => {
            let mut differences = wanted.differences(&found);
            if found.arn != place.arn {
                differences.push(Difference { what: "ARN", expected: place.arn.clone(), found: found.arn });
            }
            (differences, None)
        }
        Ok(None) => {
            let expected = place.version.to_string();
            (vec![Difference { what: "version", expected, found: "missing".to_owned() }], None)
        }
        Err(error) => (Vec::new(), Some(RolloutError::in_region(error).to_string())),
    };
    let ok = differences.is_empty() && error.is_none();
    Check { region, arch: wanted.arch, arn: place.arn.clone(), ok, differences, error }
}

fn show(ui: &Ui, checks: &[Check]) -> Result<(), Failure> {
    if ui.json() {
        ui.result(serde_json::to_string_pretty(checks).map_err(Failure::new)?);
    } else {
        let line = |check: &Check| {
            let state = if check.ok { "ok" } else { "differs" };
            let state = if check.error.is_some() { "not read" } else { state };
            let mut notes: Vec<String> = check.differences.iter().map(ToString::to_string).collect();
            notes.extend(check.error.clone());
            vec![check.region.to_string(), check.arch.to_string(), state.to_owned(), notes.join("; ")]
        };
        let head = ["region", "arch", "state", ""].map(str::to_owned).to_vec();
        ui.result(report::columns(std::iter::once(head).chain(checks.iter().map(line))));
    }
    let bad = checks.iter().filter(|check| !check.ok).count();
    if checks.is_empty() {
        return Err(Failure::message(Code::Failed, "layers.json lists no region at all")
            .hint("publish with `publisher publish --execute`"));
    }
    if bad > 0 {
        let text = format!("{bad} of {} layer versions are not as layers.json says", checks.len());
        return Err(Failure::message(Code::Failed, text)
            .hint("`publisher publish` shows what would mend it, with --execute it does"));
    }
    ui.status("Verified", format!("{} layer versions are as layers.json says", checks.len()));
    Ok(())
}
