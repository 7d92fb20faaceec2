//! Decides the change that brings a function to its goal, without calling AWS.

use crate::{
    attach::{
        function_state::FunctionState,
        layer_list::{self, Decision, Family, ListChange, MAX_LAYERS},
    },
    aws::{
        functions::{Change, Environment, Function},
        layer_arn::LayerArn,
    },
    commands::attach::{explain, wrapper},
    failure::Failure,
};
use std::collections::BTreeMap;

/// The state that the function should reach.
#[derive(Clone, Debug)]
pub(crate) enum Goal {
    /// The function has this layer and, if requested, the environment variable for the wrapper and these settings.
    Attached {
        /// The version to attach.
        layer: LayerArn,
        /// Whether to set the environment variable for the wrapper.
        wrapper: bool,
        /// The settings of the extension to set, by the names of their variables.
        settings: BTreeMap<String, String>,
    },
    /// The function has neither a layer of this extension nor the environment variable for its wrapper.
    Detached,
    /// The function is as it was before an earlier run, unless somebody has changed it after that run.
    Restored {
        /// The state before the run.
        before: FunctionState,
        /// The state that the run gave it.
        after: FunctionState,
    },
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
pub(super) struct UpdatePlan {
    pub(super) decision: Decision,
    pub(super) change: Option<Change>,
}

/// The result that an update would have. It changes nothing.
pub(crate) fn preview(function: &Function, goal: &Goal, family: &Family) -> Result<UpdateResult, Failure> {
    let plan = plan(function, goal, family)?;
    let before = FunctionState::of(function);
    let after = plan.change.as_ref().map_or_else(|| before.clone(), |change| state_after(change, &before));
    Ok(UpdateResult { action: plan.decision.action, changed: plan.change.is_some(), before, after })
}

pub(super) fn plan(function: &Function, goal: &Goal, family: &Family) -> Result<UpdatePlan, Failure> {
    let layers: Vec<String> = function.layers.iter().map(|layer| layer.arn.clone()).collect();
    let (decision, environment) = match goal {
        Goal::Attached { layer, wrapper, settings } => {
            let with_wrapper = if *wrapper { wrapper::added(function)? } else { None };
            let environment = wrapper::with_settings(function, with_wrapper, settings)?;
            (layer_list::attach(&layers, layer, family), environment)
        }
        Goal::Detached => {
            let decision = layer_list::detach(&layers, family);
            let found = decision.action != ListChange::None || wrapper::of(function) == Some(wrapper::PATH);
            (decision, if found { wrapper::removed(function)? } else { None })
        }
        Goal::Restored { before, after } => restored(function, before, after)?,
    };
    if decision.layers.len() > MAX_LAYERS && decision.action == ListChange::Append {
        return Err(explain::too_many(function));
    }
    let changes = decision.action != ListChange::None || environment.is_some();
    let change = changes.then(|| Change { layers: decision.layers.clone(), environment });
    Ok(UpdatePlan { decision, change })
}

/// Goes back from `after` to `before`. Fails if the function is in neither of the two states.
fn restored(
    function: &Function,
    before: &FunctionState,
    after: &FunctionState,
) -> Result<(Decision, Option<BTreeMap<String, String>>), Failure> {
    let now = FunctionState::of(function);
    if now == *before {
        return Ok((Decision { action: ListChange::None, layers: now.layers }, None));
    }
    if now != *after {
        return Err(explain::changed_since(function, &now.layers));
    }
    let environment = match &function.environment {
        Environment::Known(variables) if !after.has_variables_of(before) => {
            Some(before.applied_to(variables))
        }
        // Unreadable variables have no part in either state.
        _ => None,
    };
    let action = if before.layers == after.layers { ListChange::None } else { ListChange::Restore };
    Ok((Decision { action, layers: before.layers.clone() }, environment))
}

pub(super) fn state_after(change: &Change, before: &FunctionState) -> FunctionState {
    match &change.environment {
        Some(variables) => FunctionState::with(change.layers.clone(), variables),
        None => FunctionState { layers: change.layers.clone(), ..before.clone() },
    }
}
