//! The part of `publisher doctor --aws` about rights: whether the caller may do what the steps of a release ask of AWS.

use crate::{
    aws::{
        audience::AccountId,
        error::CallErrorKind,
        identity::Identity,
        partition::RegionName,
        session::Session,
        simulation::{Principal, Simulation},
    },
    commands::iam_policy::{self, LayersPolicy, Step},
    failure::Failure,
};
use serde::Serialize;
use std::collections::BTreeMap;

/// What is known about the caller's rights.
#[derive(Serialize)]
pub(super) struct Rights {
    /// The steps that the rights are for.
    #[serde(rename = "for")]
    pub(super) steps: Vec<Step>,
    /// The user or the role whose policies were simulated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) principal: Option<String>,
    /// Empty if nothing could be simulated.
    pub(super) actions: Vec<ActionCheck>,
    /// Why nothing was simulated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) unknown: Option<String>,
}

/// One action, and the resources on which it is not allowed.
#[derive(Serialize)]
pub(super) struct ActionCheck {
    pub(super) action: String,
    pub(super) allowed: bool,
    /// The resources, each with the reason.
    pub(super) refused: BTreeMap<String, &'static str>,
}

impl Rights {
    pub(super) fn missing(&self) -> Vec<&str> {
        let missing = self.actions.iter().filter(|check| !check.allowed);
        missing.map(|check| check.action.as_str()).collect()
    }

    /// The commands that print the policies for the steps.
    pub(super) fn remedy(&self, account: &str) -> String {
        let commands =
            self.steps.iter().map(|step| format!("publisher iam-policy {step} --account {account}"));
        commands.collect::<Vec<_>>().join("\n")
    }
}

/// Simulates everything that the steps ask of AWS, on the resources of one region.
pub(super) async fn check(
    session: &Session,
    identity: &Identity,
    steps: &[Step],
    layer_names: &[String],
    region: &RegionName,
) -> Result<Rights, Failure> {
    let unknown = |why: String| Rights {
        steps: steps.to_vec(),
        principal: None,
        actions: Vec::new(),
        unknown: Some(why),
    };
    let principal = Principal::of_caller(&identity.arn);
    let Some(simulation) = Simulation::of(session, &principal, region).await else {
        return Ok(unknown(match principal {
            Principal::Root => "no policy of the account applies to its root user".to_owned(),
            _ => format!("the policies of {} cannot be simulated", identity.arn),
        }));
    };
    let account = AccountId::try_from(identity.account.clone()).map_err(Failure::new)?;
    let layers = LayersPolicy { account, partition: identity.partition, layer_name: layer_names.to_vec() };
    let mut checks: BTreeMap<String, BTreeMap<String, &'static str>> = BTreeMap::new();
    for need in iam_policy::needs(steps, &layers, region)? {
        match simulation.decide(&need.actions, &need.resource).await {
            Ok(decisions) => {
                for decision in decisions {
                    let refused = checks.entry(decision.action).or_default();
                    refused.extend(decision.refusal.map(|why| (need.resource.clone(), why)));
                }
            }
            Err(error) => {
                let hint = match error.kind {
                    CallErrorKind::Denied => "; what the look at the regions shows is all that is known",
                    _ => "",
                };
                return Ok(unknown(format!("the rights could not be simulated ({error}){hint}")));
            }
        }
    }
    let actions = checks.into_iter().map(|(action, refused)| ActionCheck {
        action,
        allowed: refused.is_empty(),
        refused,
    });
    Ok(Rights {
        steps: steps.to_vec(),
        principal: Some(simulation.principal().to_owned()),
        actions: actions.collect(),
        unknown: None,
    })
}
