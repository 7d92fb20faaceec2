//! Asks AWS for the newest versions of layers. Commands use this with `--latest`, which does not rely on `layers.json`.

use crate::{
    aws::{
        audience::AccountId, error::CallErrorKind, identity::Identity, layer_arn::LayerArn,
        layers::RegionLayers, partition::RegionName, session::Session,
    },
    commands::common::account,
    failure::{Code, Failure, chain},
    model::{arch::Arch, layer_name::LayerName},
};
use std::sync::Arc;
use tokio::task::JoinSet;

/// A query for the newest version of one layer in one region.
#[derive(Clone, Debug)]
pub(crate) struct LayerQuery {
    pub(crate) region: RegionName,
    pub(crate) arch: Arch,
    /// The account that owns the layer.
    pub(crate) account: AccountId,
    pub(crate) name: LayerName,
}

/// Returns the newest version of each layer that has a version. The failure names every query that failed.
pub(crate) async fn newest(
    session: &Arc<Session>,
    identity: &Identity,
    subjects: Vec<LayerQuery>,
) -> Result<Vec<(Arch, LayerArn)>, Failure> {
    let mut tasks = JoinSet::new();
    for subject in subjects {
        let layers = RegionLayers::new(session, &subject.region);
        let foreign = subject.account.as_str() != identity.account;
        tasks.spawn(async move {
            let layer = if foreign {
                LayerArn::layer(&subject.region, &subject.account, &subject.name)
            } else {
                subject.name.to_string()
            };
            let listed = layers.list(&layer).await;
            (subject, foreign, listed)
        });
    }
    let mut found = Vec::new();
    let mut failed = Vec::new();
    let mut denied = None;
    for (subject, foreign, listed) in tasks.join_all().await {
        match listed {
            Ok(versions) => {
                if let Some(newest) = versions.first() {
                    let LayerQuery { region, arch, account, name } = subject;
                    found.push((arch, LayerArn::new(region, account, name, newest.number)));
                }
            }
            Err(error) => {
                if foreign && error.kind == CallErrorKind::Denied {
                    denied = Some(subject.account.clone());
                }
                let why = chain(&session.in_region(&subject.region, error));
                failed.push(format!("{} {}: {why}", subject.region, subject.name));
            }
        }
    }
    if failed.is_empty() {
        return Ok(found);
    }
    failed.sort();
    let text = format!("the newest versions could not be read in all regions:\n  {}", failed.join("\n  "));
    Err(Failure::message(Code::Failed, text).hint(denied.map_or_else(
        || {
            let again = account::same_command();
            format!("run the same command again, or ask for fewer regions with --regions:\n  {again}")
        },
        |owner| {
            format!(
                "only the layer's owner, the account {}, can list its versions: leave out --latest, and use the\n\
                 layers.json of the release",
                owner.as_str()
            )
        },
    )))
}
