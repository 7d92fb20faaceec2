//! Read, decide, update, wait: until the function is as it should be, or it is known why not.
//!
//! An update is based on the revision that was read, so what somebody else changes meanwhile is never undone.

use super::{explain, name::FunctionName, show::Side, wrapper};
use crate::{
    aws::{
        error::{CallError, Kind},
        functions::{Change, Function, RegionFunctions, Update},
        layer_arn::LayerArn,
        partition::RegionName,
    },
    failure::{Code, Failure},
    release::attachment::{self, Action, Decision, Family, MOST},
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
pub enum Goal {
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
pub struct Subject<'a> {
    /// The region's calls.
    pub functions: &'a RegionFunctions,
    /// Which one.
    pub name: &'a FunctionName,
    /// Where.
    pub region: &'a RegionName,
    /// Whose credentials these are.
    pub account: &'a str,
    /// How long to wait for updates, ours and others'.
    pub wait: Duration,
}

/// What came of it.
#[derive(Debug)]
pub struct Outcome {
    /// What was, or would be, done to the layers.
    pub action: Action,
    /// Whether anything is, or would be, different.
    pub changed: bool,
    /// As it was.
    pub before: Side,
    /// As it is, or would be.
    pub after: Side,
}

/// The way from what is to what should be.
struct Plan {
    decision: Decision,
    change: Option<Change>,
}

impl Subject<'_> {
    /// Reads it.
    pub async fn read(&self) -> Result<Function, Failure> {
        let unread = |error| explain::unread(error, self.name, self.region, self.account);
        self.functions.read(self.name.as_str()).await.map_err(unread)
    }

    /// Does it.
    pub async fn reach(&self, ui: &Ui, goal: &Goal, family: &Family) -> Result<Outcome, Failure> {
        let end = Instant::now() + self.wait;
        let (mut retries, mut first) = (RETRIES, None);
        loop {
            let function = self.settled(ui, end).await?;
            let plan = plan(&function, goal, family)?;
            let (action, before) = first.get_or_insert_with(|| (plan.decision.action, Side::of(&function)));
            let Some(change) = plan.change else {
                let after = Side::of(&function);
                return Ok(Outcome {
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
                Err(error) if error.kind == Kind::Conflict && Instant::now() < end => self.pause(ui).await,
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
        if error.kind == Kind::Conflict {
            return explain::busy(&function.arn, self.wait);
        }
        explain::refused(error, function, &change.layers)
    }

    /// Waits until the update is in effect, and reads back what came of it.
    async fn effect(
        &self,
        ui: &Ui,
        end: Instant,
        action: Action,
        before: Side,
        change: &Change,
    ) -> Result<Outcome, Failure> {
        let function = self.settled(ui, end).await?;
        if let Update::Failed(reason) = &function.update {
            return Err(explain::failed(&function, reason));
        }
        let after = Side::of(&function);
        if after.layers != change.layers {
            let text = format!("{} was changed again at once: it has other layers now", function.arn);
            return Err(Failure::message(Code::Failed, text).hint(format!(
                "find out by whom, and run it again; it has:\n  {}",
                after.layers.join("\n  ")
            )));
        }
        Ok(Outcome { action, changed: true, before, after })
    }

    /// The function as it is once no update is on its way.
    async fn settled(&self, ui: &Ui, end: Instant) -> Result<Function, Failure> {
        let mut said = false;
        loop {
            let function = self.read().await?;
            if function.update != Update::InProgress {
                return Ok(function);
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
pub fn preview(function: &Function, goal: &Goal, family: &Family) -> Result<Outcome, Failure> {
    let plan = plan(function, goal, family)?;
    let before = Side::of(function);
    let after = plan.change.as_ref().map_or_else(|| before.clone(), |change| side(change, &before));
    Ok(Outcome { action: plan.decision.action, changed: plan.change.is_some(), before, after })
}

fn plan(function: &Function, goal: &Goal, family: &Family) -> Result<Plan, Failure> {
    let before: Vec<String> = function.layers.iter().map(|layer| layer.arn.clone()).collect();
    let (decision, environment) = match goal {
        Goal::Attached { layer, wrapper } => {
            let environment = if *wrapper { wrapper::added(function)? } else { None };
            (attachment::attach(&before, layer, family), environment)
        }
        Goal::Detached => {
            let decision = attachment::detach(&before, family);
            let found = decision.action != Action::None || wrapper::of(function) == Some(wrapper::PATH);
            (decision, if found { wrapper::removed(function)? } else { None })
        }
    };
    if decision.layers.len() > MOST && decision.action == Action::Append {
        return Err(explain::too_many(function));
    }
    let changes = decision.action != Action::None || environment.is_some();
    let change = changes.then(|| Change { layers: decision.layers.clone(), environment });
    Ok(Plan { decision, change })
}

fn side(change: &Change, before: &Side) -> Side {
    let exec_wrapper = match &change.environment {
        Some(variables) => variables.get(wrapper::VARIABLE).cloned(),
        None => before.exec_wrapper.clone(),
    };
    Side { layers: change.layers.clone(), exec_wrapper }
}
