//! Read, decide, update, wait: until the function is as it should be, or it is known why not.
//!
//! An update is based on the revision that was read, so what somebody else changes meanwhile is never undone.

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

/// Between two looks at a function that is being updated.
const PAUSE: Duration = Duration::from_millis(500);
/// Further tries where somebody else was faster.
const RETRIES: u32 = 1;

/// What to make of a function.
#[derive(Debug)]
pub(crate) enum Goal {
    /// It has this layer; and the wrapper's variable, where that is wanted.
    Attached {
        /// Its ARN.
        layer: LayerArn,
        /// Whether to set the variable.
        wrapper: bool,
    },
    /// It has no layer of ours, nor the variable.
    Detached,
}

/// Somebody's function on its way.
#[derive(Debug)]
pub(crate) struct FunctionUpdater<'a> {
    /// The region's calls.
    pub(crate) functions: &'a RegionFunctions,
    /// Which one.
    pub(crate) name: &'a FunctionName,
    /// Where.
    pub(crate) region: &'a RegionName,
    /// Whose credentials these are.
    pub(crate) account: &'a str,
    /// How long to wait for updates, ours and others'.
    pub(crate) wait: Duration,
}

/// What came of it.
#[derive(Debug)]
pub(crate) struct UpdateResult {
    /// What was, or would be, done to the layers.
    pub(crate) action: ListChange,
    /// Whether anything is, or would be, different.
    pub(crate) changed: bool,
    /// As it was.
    pub(crate) before: FunctionState,
    /// As it is, or would be.
    pub(crate) after: FunctionState,
}

/// The way from what is to what should be.
struct UpdatePlan {
    decision: Decision,
    change: Option<Change>,
}

impl FunctionUpdater<'_> {
    /// Reads it.
    pub(crate) async fn read(&self) -> Result<Function, Failure> {
        let unread = |error| explain::unread(error, self.name, self.region, self.account);
        self.functions.read(self.name.as_str()).await.map_err(unread)
    }

    /// Does it.
    pub(crate) async fn reach(&self, ui: &Ui, goal: &Goal, family: &Family) -> Result<UpdateResult, Failure> {
        let end = Instant::now() + self.wait;
        let mut retries = RETRIES;
        let mut first = None;
        loop {
            let function = self.settled(ui, end).await?;
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
                Ok(()) => return self.effect(ui, end, *action, before.clone(), &change).await,
                // Whatever was just decided may be wrong by now.
                Err(error) if explain::is_stale(&error) && retries > 0 => {
                    retries -= 1;
                    ui.status("Again", "somebody changed the function in the meantime");
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
                "somebody else keeps changing the function (a deployment?): nothing was changed here; run it again\n\
                 when that is over",
            );
        }
        if explain::is_busy(&error) {
            return explain::busy(&function.arn, self.wait);
        }
        explain::refused(error, function, &change.layers)
    }

    /// Waits until the update is in effect, and reads back what came of it.
    async fn effect(
        &self,
        ui: &Ui,
        end: Instant,
        action: ListChange,
        before: FunctionState,
        change: &Change,
    ) -> Result<UpdateResult, Failure> {
        let function = self.settled(ui, end).await?;
        if let UpdateStatus::Failed(reason) = &function.update {
            return Err(explain::failed(&function, reason));
        }
        let after = FunctionState::of(&function);
        if after.layers != change.layers {
            let text = format!("{} was changed again at once: it has other layers now", function.arn);
            return Err(Failure::message(Code::Failed, text).hint(format!(
                "find out by whom, and run it again; it has:\n  {}",
                after.layers.join("\n  ")
            )));
        }
        Ok(UpdateResult { action, changed: true, before, after })
    }

    /// The function as it is once no update is on its way.
    async fn settled(&self, ui: &Ui, end: Instant) -> Result<Function, Failure> {
        let mut said = false;
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
            if !said {
                ui.status("Waiting", "until Lambda has finished an update of the function");
                said = true;
            }
            sleep(PAUSE).await;
        }
    }

    async fn pause(&self, ui: &Ui) {
        ui.status("Waiting", "another update of the function is in progress");
        sleep(PAUSE).await;
    }
}

/// What would be done.
pub(crate) fn preview(function: &Function, goal: &Goal, family: &Family) -> Result<UpdateResult, Failure> {
    let plan = plan(function, goal, family)?;
    let before = FunctionState::of(function);
    let after = plan.change.as_ref().map_or_else(|| before.clone(), |change| side(change, &before));
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

fn side(change: &Change, before: &FunctionState) -> FunctionState {
    let exec_wrapper = match &change.environment {
        Some(variables) => variables.get(wrapper::VARIABLE).cloned(),
        None => before.exec_wrapper.clone(),
    };
    FunctionState { layers: change.layers.clone(), exec_wrapper }
}
