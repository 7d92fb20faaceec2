//! One region and architecture, from whatever is there to done: find by hash → publish → grant → read back.
//!
//! Every state can be found again by looking, so whoever is interrupted runs it again.

use super::plan::{Action, Difference, Wanted};
use crate::aws::{
    budget::InFlight,
    error::{CallError, Kind},
    layers::{RegionLayers, Version},
    policy::Grant,
    upload::Upload,
};
use std::time::Duration;

/// How often publishing is begun for one region and architecture.
const ATTEMPTS: usize = 3;
/// When to look after an ambiguous answer: a request that we gave up on may still be at work.
const LOOK_AFTER: [Duration; 3] = [Duration::from_secs(1), Duration::from_secs(2), Duration::from_secs(4)];
/// How long what was just written may take to be seen.
const SETTLE: [Duration; 4] =
    [Duration::ZERO, Duration::from_millis(500), Duration::from_secs(1), Duration::from_secs(2)];

/// What was found, and what it needs.
#[derive(Clone, Debug)]
pub struct Plan {
    /// What is to be done.
    pub action: Action,
    /// The version that it is done to.
    pub found: Option<Version>,
}

/// Why a region and architecture is not done.
#[derive(Clone, Debug, thiserror::Error)]
pub enum RolloutError {
    /// AWS said no, or nothing.
    #[error(transparent)]
    Call(#[from] CallError),
    /// The account has the credentials, but the region does not know them.
    #[error("the region is not enabled in this account, or not yet ({0})")]
    NotEnabled(CallError),
    /// It was published, and is not what was meant.
    #[error("version {number} reads back wrong: {}", list(differences))]
    ReadBack {
        /// Which version.
        number: i64,
        /// In what respect.
        differences: Vec<Difference>,
    },
    /// It was published, and is not there.
    #[error("version {0} was published, and cannot be read back")]
    Vanished(i64),
}

fn list(differences: &[Difference]) -> String {
    differences.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

impl RolloutError {
    /// Whose credentials these are was asked before: here, a refusal is the region's, not the account's.
    pub fn in_region(error: CallError) -> Self {
        let expired = error.code.as_deref().is_some_and(|code| code.contains("Expired"));
        if error.kind == Kind::Credentials && !expired { Self::NotEnabled(error) } else { Self::Call(error) }
    }
}

/// Looks, and decides. Writes nothing.
pub async fn plan(layers: &RegionLayers, wanted: &Wanted) -> Result<Plan, RolloutError> {
    let found = find(layers, wanted).await.map_err(RolloutError::in_region)?;
    Ok(Plan { action: wanted.action(found.as_ref()), found })
}

/// Does what the plan says, and reads it back.
pub async fn carry_out(
    layers: &RegionLayers,
    wanted: &Wanted,
    plan: Plan,
    upload: &Upload,
    in_flight: &InFlight,
) -> Result<Version, RolloutError> {
    let (number, grant) = match plan.found {
        Some(version) if plan.action == Action::Adopt => return Ok(version),
        Some(version) => (version.number, version.grant),
        None => publish(layers, wanted, upload, in_flight).await?,
    };
    if grant != Grant::Public {
        layers.make_public(wanted.layer.as_str(), number).await?;
    }
    read_back(layers, wanted, number).await
}

/// The newest version with these bytes.
async fn find(layers: &RegionLayers, wanted: &Wanted) -> Result<Option<Version>, CallError> {
    let layer = wanted.layer.as_str();
    for listed in layers.list(layer).await?.iter().filter(|listed| wanted.may_be(&listed.description)) {
        let version = layers.read(layer, listed.number).await?;
        if let Some(version) = version.filter(|version| wanted.fixed_differences(version).is_empty()) {
            return Ok(Some(version));
        }
    }
    Ok(None)
}

/// Publishes without ever doing it twice: where it is not sure that a request failed, it looks first.
async fn publish(
    layers: &RegionLayers,
    wanted: &Wanted,
    upload: &Upload,
    in_flight: &InFlight,
) -> Result<(i64, Grant), CallError> {
    let mut attempt = 1;
    loop {
        let result = {
            let _room = in_flight.room_for(upload.bytes()).await;
            layers.publish(wanted.layer.as_str(), upload).await
        };
        let error = match result {
            Ok(number) => return Ok((number, Grant::Missing)),
            Err(error) => error,
        };
        match error.kind {
            Kind::Ambiguous => {
                for pause in LOOK_AFTER {
                    tokio::time::sleep(pause).await;
                    if let Some(version) = find(layers, wanted).await? {
                        return Ok((version.number, version.grant));
                    }
                }
            }
            Kind::Throttled => tokio::time::sleep(Duration::from_secs(1 << attempt)).await,
            _ => return Err(error),
        }
        if attempt == ATTEMPTS {
            return Err(error);
        }
        attempt += 1;
    }
}

async fn read_back(layers: &RegionLayers, wanted: &Wanted, number: i64) -> Result<Version, RolloutError> {
    let mut last = RolloutError::Vanished(number);
    for pause in SETTLE {
        tokio::time::sleep(pause).await;
        let Some(version) = layers.read(wanted.layer.as_str(), number).await? else { continue };
        let differences = wanted.differences(&version);
        if differences.is_empty() {
            return Ok(version);
        }
        last = RolloutError::ReadBack { number, differences };
    }
    Err(last)
}
