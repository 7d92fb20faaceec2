//! All regions and architectures at once: none waits for another, none stops another.

use super::{
    plan::{Action, Wanted},
    report::Row,
    rollout::{self, RolloutError},
};
use crate::{
    arch::Arch,
    aws::{
        budget::InFlight,
        layers::{RegionLayers, Version},
        regions::Target,
        session::Session,
        upload::Upload,
    },
};
use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};
use tokio::task::JoinSet;

/// The bodies to upload, and how much of them at once.
#[derive(Clone)]
pub struct Cargo {
    /// One for each architecture.
    pub uploads: Arc<BTreeMap<Arch, Upload>>,
    /// The bound.
    pub in_flight: InFlight,
}

/// Looks everywhere and, with cargo, does what is missing. Tells of each region and architecture as it ends;
/// the answer is in the targets' order.
pub async fn run(
    session: &Session,
    targets: &[Target],
    wanted: &[Wanted],
    cargo: Option<&Cargo>,
    mut ended: impl FnMut(&Row),
) -> Vec<Row> {
    let mut rows = Vec::new();
    let mut tasks = JoinSet::new();
    let mut running = HashMap::new();
    for target in targets {
        let layers = RegionLayers::new(session, &target.region);
        for wanted in wanted {
            let row = Row::new(target, wanted.arch);
            if let Some(status) = &target.disabled {
                let row = row.failed(&format!("the region is {status} in this account"));
                ended(&row);
                rows.push(row);
                continue;
            }
            let (layers, wanted, cargo) = (layers.clone(), wanted.clone(), cargo.cloned());
            let task = tasks.spawn(async move { one(&layers, &wanted, cargo.as_ref()).await });
            running.insert(task.id(), row);
        }
    }
    while let Some(task) = tasks.join_next_with_id().await {
        let (id, outcome) = match task {
            Ok((id, outcome)) => (id, outcome.map_err(|error| error.to_string())),
            Err(fault) => (fault.id(), Err(format!("a fault of this program: {fault}"))),
        };
        let Some(row) = running.remove(&id) else { continue };
        let row = match outcome {
            Ok((action, version)) => row.with(action, cargo.is_some(), version),
            Err(cause) => row.failed(&cause),
        };
        ended(&row);
        rows.push(row);
    }
    rows.sort_by(|a, b| (&a.region, a.arch).cmp(&(&b.region, b.arch)));
    rows
}

async fn one(
    layers: &RegionLayers,
    wanted: &Wanted,
    cargo: Option<&Cargo>,
) -> Result<(Action, Option<Version>), RolloutError> {
    let plan = rollout::plan(layers, wanted).await?;
    let action = plan.action;
    match cargo.and_then(|cargo| Some((cargo.uploads.get(&wanted.arch)?, &cargo.in_flight))) {
        None => Ok((action, plan.found)),
        Some((upload, in_flight)) => {
            let version = rollout::carry_out(layers, wanted, plan, upload, in_flight).await?;
            Ok((action, Some(version)))
        }
    }
}
