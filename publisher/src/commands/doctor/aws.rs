//! `publisher doctor --aws`: whose credentials these are, what they may do, the state of the regions, and their room
//! for code. It only reads.

use crate::{
    aws::{
        error::CallErrorKind,
        identity::Identity,
        layers::RegionLayers,
        partition::RegionName,
        regions::{RegionChoice, RegionPattern},
        session::Session,
    },
    commands::{
        common::account,
        doctor::{
            Doctor,
            rights::{self, Rights},
        },
    },
    failure::{Code, Failure, chain},
    ui::{self, Ui},
};
use serde::Serialize;
use std::sync::Arc;
use tokio::task::JoinSet;

/// Two zips of the largest size that Lambda takes directly. A release with less room than this may fail.
const LITTLE_ROOM: i64 = 2 * 50 * 1024 * 1024;

/// The state of a region for these credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum RegionState {
    Ok,
    /// There is little or no room for code.
    Full,
    /// The account has the region disabled.
    Disabled,
    /// The credentials may not ask for the room, or not in this region.
    Denied,
    /// The region does not answer, or does not accept the credentials.
    Failed,
}

#[derive(Serialize)]
struct RegionCheck {
    region: RegionName,
    state: RegionState,
    /// The bytes of code that the account can still store there.
    room: Option<i64>,
    why: Option<String>,
}

#[derive(Serialize)]
struct AwsReport<'a> {
    account: &'a str,
    caller: &'a str,
    partition: String,
    rights: &'a Rights,
    regions: Vec<RegionCheck>,
}

impl Doctor {
    /// Checks the account, the caller's rights for the steps, and the regions. Fails if a release would fail for want
    /// of a right or in one of the enabled regions.
    pub(super) async fn check_aws(&self, ui: &Ui) -> Result<(), Failure> {
        let regions = &self.regions;
        let choice = RegionChoice {
            regions: regions.regions.clone(),
            optional: Vec::new(),
            exclude: regions.exclude.clone(),
        };
        let hint = account::region_in_partition(&choice);
        let (session, identity) = account::open_session(ui, &self.account_options, hint.as_ref()).await?;
        let chosen = account::select(ui, &session, &identity, &choice).await?;
        let first =
            chosen.targets.first().map_or_else(|| identity.partition.home_region(), |t| t.region.clone());
        let rights = rights::check(&session, &identity, &self.steps, &self.layer_name, &first).await?;
        let mut tasks = JoinSet::new();
        let mut checks: Vec<RegionCheck> = chosen.left_out.into_iter().map(disabled).collect();
        for target in chosen.targets {
            // A region that the user names may be disabled.
            if target.disabled.is_some() {
                checks.push(disabled(target.region));
            } else {
                tasks.spawn(check_region(Arc::clone(&session), target.region));
            }
        }
        while let Some(check) = tasks.join_next().await {
            checks.push(check.map_err(Failure::new)?);
        }
        checks.sort_by(|a, b| a.region.cmp(&b.region));
        let named = |region: &RegionName| {
            regions.regions.iter().any(|pattern| *pattern == RegionPattern::Exact(region.clone()))
        };
        let bad: Vec<String> = checks
            .iter()
            .filter(|check| match check.state {
                RegionState::Failed | RegionState::Full => true,
                RegionState::Disabled => named(&check.region),
                RegionState::Ok | RegionState::Denied => false,
            })
            .map(|check| check.region.to_string())
            .collect();
        print(ui, &identity, &rights, checks)?;
        conclude(&bad, &rights, &identity)
    }
}

/// The failure if something is not ready, with what to do about it.
fn conclude(bad: &[String], rights: &Rights, identity: &Identity) -> Result<(), Failure> {
    let missing = rights.missing();
    let (mut texts, mut hints) = (Vec::new(), Vec::new());
    if !missing.is_empty() {
        texts.push(format!("not allowed: {}", missing.join(", ")));
        let remedy = rights.remedy(&identity.account);
        hints.push(format!("give the user or the role the policies that these commands print:\n{remedy}"));
    }
    if !bad.is_empty() {
        texts.push(format!("not ready: {}", bad.join(", ")));
        hints.push(
            "the last column says why; enable a region with `aws account enable-region`, or leave it out with \
             --exclude; make room with `publisher prune` or ask AWS for a higher quota"
                .to_owned(),
        );
    }
    if texts.is_empty() {
        return Ok(());
    }
    Err(Failure::message(Code::Failed, texts.join("; ")).hint(hints.join("\n")))
}

fn disabled(region: RegionName) -> RegionCheck {
    let why = Some("the account has it disabled".to_owned());
    RegionCheck { region, state: RegionState::Disabled, room: None, why }
}

async fn check_region(session: Arc<Session>, region: RegionName) -> RegionCheck {
    let layers = RegionLayers::new(&session, &region);
    match layers.code_storage_left().await {
        Ok(room) if room < LITTLE_ROOM => {
            let why = Some("there is little room for code".to_owned());
            RegionCheck { region, state: RegionState::Full, room: Some(room), why }
        }
        Ok(room) => RegionCheck { region, state: RegionState::Ok, room: Some(room), why: None },
        Err(error) => {
            let state =
                if error.kind == CallErrorKind::Denied { RegionState::Denied } else { RegionState::Failed };
            let why = Some(chain(&session.in_region(&region, error)));
            RegionCheck { region, state, room: None, why }
        }
    }
}

fn print(ui: &Ui, identity: &Identity, rights: &Rights, regions: Vec<RegionCheck>) -> Result<(), Failure> {
    if ui.json() {
        let (account, caller) = (&identity.account, &identity.arn);
        let partition = identity.partition.to_string();
        let report = AwsReport { account, caller, partition, rights, regions };
        ui.result(serde_json::to_string_pretty(&report).map_err(Failure::new)?);
        return Ok(());
    }
    ui.status("Caller", &identity.arn);
    if let Some(why) = &rights.unknown {
        ui.warning(format!("the rights are not checked: {why}"));
    } else {
        ui.result(rights_table(rights));
        ui.result("");
    }
    let rows = regions.into_iter().map(|check| {
        let state = match check.state {
            RegionState::Ok => "ok",
            RegionState::Full => "full",
            RegionState::Disabled => "disabled",
            RegionState::Denied => "unknown",
            RegionState::Failed => "failed",
        };
        let room = check.room.map(|bytes| format!("{} MiB", bytes / (1 << 20))).unwrap_or_default();
        [check.region.to_string(), state.to_owned(), room, check.why.unwrap_or_default()]
    });
    ui.result(ui::table(["region", "state", "room for code", "why"], rows));
    Ok(())
}

/// A row for each action. A refusal names the resources, if it is only of some.
fn rights_table(rights: &Rights) -> String {
    let rows = rights.actions.iter().map(|check| {
        let reasons = check.refused.iter().map(|(resource, why)| match resource.as_str() {
            "*" => (*why).to_owned(),
            resource => format!("{why}: {resource}"),
        });
        let state = if check.allowed { "allowed" } else { "missing" };
        [check.action.clone(), state.to_owned(), reasons.collect::<Vec<_>>().join("; ")]
    });
    ui::table(["action", "state", "why"], rows)
}
