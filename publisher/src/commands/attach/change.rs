//! Changes a function: reads it, decides what to change, updates it, and waits until the update is in effect.
//!
//! An update names the revision that was read, so it never undoes a change that somebody else made in the meantime.

use crate::{
    attach::layer_list::{self, Decision, Family, ListChange, MAX_LAYERS},
    aws::{
        error::CallError,
        functions::{Change, Function, RegionFunctions, UpdateStatus},
        layer_arn::LayerArn,
        partition::RegionName,
    },
    commands::attach::{explain, name::FunctionName, show::FunctionState, wrapper},
    failure::{Code, Failure},
    ui::Ui,
};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// The pause between two reads of a function that is being updated.
const POLL_INTERVAL: Duration = Duration::from_millis(500);
/// The number of retries if somebody else changed the function after it was read.
const RETRIES: u32 = 1;

/// The state that the function should reach.
#[derive(Debug)]
pub(crate) enum Goal {
    /// The function has this layer and, if requested, the environment variable for the wrapper.
    Attached {
        /// The version to attach.
        layer: LayerArn,
        /// Whether to set the environment variable for the wrapper.
        wrapper: bool,
    },
    /// The function has neither a layer of this extension nor the environment variable for its wrapper.
    Detached,
}

/// Updates one function in one region.
#[derive(Debug)]
pub(crate) struct FunctionUpdater<'a> {
    /// The client for Lambda in the region.
    pub(crate) functions: &'a RegionFunctions,
    pub(crate) name: &'a FunctionName,
    pub(crate) region: &'a RegionName,
    /// The account of the credentials.
    pub(crate) account: &'a str,
    /// The maximum time to wait for updates of the function, both this one and those of others.
    pub(crate) wait: Duration,
}

/// The result of an update or of its preview.
#[derive(Debug)]
pub(crate) struct UpdateResult {
    /// The change to the list of layers that was or would be made.
    pub(crate) action: ListChange,
    /// Whether the function is or would be different.
    pub(crate) changed: bool,
    /// The state before the update.
    pub(crate) before: FunctionState,
    /// The state after the update. In a preview, it is the state that the update would give.
    pub(crate) after: FunctionState,
}

/// The change that brings the function to its goal.
struct UpdatePlan {
    decision: Decision,
    change: Option<Change>,
}

impl FunctionUpdater<'_> {
    pub(crate) async fn read(&self) -> Result<Function, Failure> {
        let failure = |error| explain::cannot_read(error, self.name, self.region, self.account);
        self.functions.read(self.name.as_str()).await.map_err(failure)
    }

    /// Updates the function until it reaches `goal`. Decides again if somebody else changes the function meanwhile.
    pub(crate) async fn reach(&self, ui: &Ui, goal: &Goal, family: &Family) -> Result<UpdateResult, Failure> {
        let end = Instant::now() + self.wait;
        let mut retries = RETRIES;
        let mut first = None;
        loop {
            let function = self.read_when_idle(ui, end).await?;
            let plan = plan(&function, goal, family)?;
            let (action, before) =
                first.get_or_insert_with(|| (plan.decision.action, FunctionState::of(&function)));
            let Some(change) = plan.change else {
                let after = FunctionState::of(&function);
                return Ok(UpdateResult {
                    action: *action,
                    changed: after != *before,
                    before: before.clone(),
                    after,
                });
            };
            ui.status("Updating", &function.arn);
            match self.functions.update(self.name.as_str(), function.revision.as_deref(), &change).await {
                Ok(()) => return self.wait_until_applied(ui, end, *action, before.clone(), &change).await,
                // The decision may be wrong for the new revision, so the loop reads the function and decides again.
                Err(error) if explain::is_stale(&error) && retries > 0 => {
                    retries -= 1;
                    ui.status("Again", "another user changed the function meanwhile");
                }
                Err(error) if explain::is_busy(&error) && Instant::now() < end => {
                    self.pause(ui).await;
                }
                Err(error) => return Err(self.refusal(error, &function, &change)),
            }
        }
    }

    fn refusal(&self, error: CallError, function: &Function, change: &Change) -> Failure {
        if explain::is_stale(&error) {
            return Failure::new(error).hint(
                "another user or a deployment keeps changing the function; nothing was changed here; run it again\n\
                 when that has ended",
            );
        }
        if explain::is_busy(&error) {
            return explain::busy(&function.arn, self.wait);
        }
        explain::refused(error, function, &change.layers)
    }

    /// Waits until the update is in effect. Fails if Lambda could not apply it, or if the layers were changed again.
    async fn wait_until_applied(
        &self,
        ui: &Ui,
        end: Instant,
        action: ListChange,
        before: FunctionState,
        change: &Change,
    ) -> Result<UpdateResult, Failure> {
        let function = self.read_when_idle(ui, end).await?;
        if let UpdateStatus::Failed(reason) = &function.update {
            return Err(explain::failed(&function, reason));
        }
        let after = FunctionState::of(&function);
        if after.layers != change.layers {
            let text = format!("{} was changed again at once: it has other layers now", function.arn);
            return Err(Failure::message(Code::Failed, text).hint(format!(
                "find out who changed it, and run it again; it has:\n  {}",
                after.layers.join("\n  ")
            )));
        }
        Ok(UpdateResult { action, changed: true, before, after })
    }

    /// Reads the function until no update is in progress. Fails if one still is at `end`.
    async fn read_when_idle(&self, ui: &Ui, end: Instant) -> Result<Function, Failure> {
        let mut is_reported = false;
        loop {
            let function = self.read().await?;
            match function.update {
                UpdateStatus::Deleting => return Err(explain::deleting(&function.arn)),
                UpdateStatus::InProgress => {}
                UpdateStatus::Done | UpdateStatus::Failed(_) => return Ok(function),
            }
            if Instant::now() >= end {
                return Err(explain::busy(&function.arn, self.wait));
            }
            if !is_reported {
                ui.status("Waiting", "until Lambda has finished an update of the function");
                is_reported = true;
            }
            sleep(POLL_INTERVAL).await;
        }
    }

    async fn pause(&self, ui: &Ui) {
        ui.status("Waiting", "another update of the function is in progress");
        sleep(POLL_INTERVAL).await;
    }
}

/// The result that an update would have. It changes nothing.
pub(crate) fn preview(function: &Function, goal: &Goal, family: &Family) -> Result<UpdateResult, Failure> {
    let plan = plan(function, goal, family)?;
    let before = FunctionState::of(function);
    let after = plan.change.as_ref().map_or_else(|| before.clone(), |change| state_after(change, &before));
    Ok(UpdateResult { action: plan.decision.action, changed: plan.change.is_some(), before, after })
}

fn plan(function: &Function, goal: &Goal, family: &Family) -> Result<UpdatePlan, Failure> {
    let before: Vec<String> = function.layers.iter().map(|layer| layer.arn.clone()).collect();
    let (decision, environment) = match goal {
        Goal::Attached { layer, wrapper } => {
            let environment = if *wrapper { wrapper::added(function)? } else { None };
            (layer_list::attach(&before, layer, family), environment)
        }
        Goal::Detached => {
            let decision = layer_list::detach(&before, family);
            let found = decision.action != ListChange::None || wrapper::of(function) == Some(wrapper::PATH);
            (decision, if found { wrapper::removed(function)? } else { None })
        }
    };
    if decision.layers.len() > MAX_LAYERS && decision.action == ListChange::Append {
        return Err(explain::too_many(function));
    }
    let changes = decision.action != ListChange::None || environment.is_some();
    let change = changes.then(|| Change { layers: decision.layers.clone(), environment });
    Ok(UpdatePlan { decision, change })
}

fn state_after(change: &Change, before: &FunctionState) -> FunctionState {
    let exec_wrapper = match &change.environment {
        Some(variables) => variables.get(wrapper::VARIABLE).cloned(),
        None => before.exec_wrapper.clone(),
    };
    FunctionState { layers: change.layers.clone(), exec_wrapper }
}
