//! Changes a function: reads it, decides what to change, updates it, and waits until the update is in effect.
//!
//! An update names the revision that was read, so it never undoes a change that somebody else made in the meantime.

use crate::{
    attach::{
        function_state::FunctionState,
        layer_list::{Family, ListChange},
    },
    aws::{
        error::{CallError, CallErrorKind},
        functions::{Change, Function, RegionFunctions, UpdateStatus},
        partition::RegionName,
    },
    commands::attach::{
        explain,
        name::FunctionName,
        plan::{Goal, UpdateResult, plan, state_after},
    },
    failure::{Code, Failure},
    ui::Ui,
};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// The pause between two reads of a function that is being updated.
const POLL_INTERVAL: Duration = Duration::from_millis(500);
/// The number of retries if somebody else changed the function after it was read.
const RETRIES: u32 = 1;

/// A function that was not updated.
#[derive(Debug)]
pub(crate) struct UpdateError {
    pub(crate) failure: Failure,
    pub(crate) cause: Cause,
}

/// What a run over many functions has to know about a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    /// The function does not exist any more, or is being deleted.
    Gone,
    /// AWS throttles: other functions in the region would fare the same.
    Throttled,
    /// Nothing beyond what the failure says.
    Other,
}

impl From<Failure> for UpdateError {
    fn from(failure: Failure) -> Self {
        Self { failure, cause: Cause::Other }
    }
}

impl From<UpdateError> for Failure {
    fn from(error: UpdateError) -> Self {
        error.failure
    }
}

fn cause(error: &CallError) -> Cause {
    match error.kind {
        CallErrorKind::NotFound => Cause::Gone,
        CallErrorKind::Throttled => Cause::Throttled,
        _ => Cause::Other,
    }
}

/// Is called with the state before and after an update, before the update is sent.
pub(crate) type Announce<'a> = dyn Fn(&FunctionState, &FunctionState) -> Result<(), Failure> + Sync + 'a;

/// Updates one function in one region.
pub(crate) struct FunctionUpdater<'a> {
    /// The client for Lambda in the region.
    pub(crate) functions: &'a RegionFunctions,
    pub(crate) name: &'a FunctionName,
    pub(crate) region: &'a RegionName,
    /// The account of the credentials.
    pub(crate) account: &'a str,
    /// The maximum time to wait for updates of the function, both this one and those of others.
    pub(crate) wait: Duration,
    /// Whether another place tells of the progress.
    pub(crate) quiet: bool,
    pub(crate) announce: Option<&'a Announce<'a>>,
}

impl FunctionUpdater<'_> {
    pub(crate) async fn read(&self) -> Result<Function, UpdateError> {
        let failure = |error| UpdateError {
            cause: cause(&error),
            failure: explain::cannot_read(error, self.name, self.region, self.account),
        };
        self.functions.read(self.name.as_str()).await.map_err(failure)
    }

    fn status(&self, ui: &Ui, verb: &str, what: &str) {
        if !self.quiet {
            ui.status(verb, what);
        }
    }

    /// Updates the function until it reaches `goal`. Decides again if somebody else changes the function meanwhile.
    pub(crate) async fn reach(
        &self,
        ui: &Ui,
        goal: &Goal,
        family: &Family,
    ) -> Result<UpdateResult, UpdateError> {
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
            self.status(ui, "Updating", &function.arn);
            if let Some(announce) = self.announce {
                let now = FunctionState::of(&function);
                announce(&now, &state_after(&change, &now))?;
            }
            match self.functions.update(self.name.as_str(), function.revision.as_deref(), &change).await {
                Ok(()) => return self.wait_until_applied(ui, end, *action, before.clone(), &change).await,
                // The decision may be wrong for the new revision, so the loop reads the function and decides again.
                Err(error) if explain::is_stale(&error) && retries > 0 => {
                    retries -= 1;
                    self.status(ui, "Again", "another user changed the function meanwhile");
                }
                Err(error) if explain::is_busy(&error) && Instant::now() < end => {
                    self.pause(ui).await;
                }
                Err(error) => {
                    let cause = cause(&error);
                    // A layer that does not exist is reported in the same way as a function that does not.
                    let cause =
                        if cause == Cause::Gone && self.read().await.is_ok() { Cause::Other } else { cause };
                    return Err(UpdateError { cause, failure: self.refusal(error, &function, &change) });
                }
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
    ) -> Result<UpdateResult, UpdateError> {
        let function = self.read_when_idle(ui, end).await?;
        if let UpdateStatus::Failed(reason) = &function.update {
            return Err(explain::failed(&function, reason).into());
        }
        let after = FunctionState::of(&function);
        if after.layers != change.layers {
            let text = format!("{} was changed again at once: it has other layers now", function.arn);
            return Err(Failure::message(Code::Failed, text)
                .hint(format!(
                    "find out who changed it, and run it again; it has:\n  {}",
                    after.layers.join("\n  ")
                ))
                .into());
        }
        Ok(UpdateResult { action, changed: true, before, after })
    }

    /// Reads the function until no update is in progress. Fails if one still is at `end`.
    async fn read_when_idle(&self, ui: &Ui, end: Instant) -> Result<Function, UpdateError> {
        let mut is_reported = false;
        loop {
            let function = self.read().await?;
            match function.update {
                UpdateStatus::Deleting => {
                    let failure = explain::deleting(&function.arn);
                    return Err(UpdateError { failure, cause: Cause::Gone });
                }
                UpdateStatus::InProgress => {}
                UpdateStatus::Done | UpdateStatus::Failed(_) => return Ok(function),
            }
            if Instant::now() >= end {
                return Err(explain::busy(&function.arn, self.wait).into());
            }
            if !is_reported {
                self.status(ui, "Waiting", "until Lambda has finished an update of the function");
                is_reported = true;
            }
            sleep(POLL_INTERVAL).await;
        }
    }

    async fn pause(&self, ui: &Ui) {
        self.status(ui, "Waiting", "another update of the function is in progress");
        sleep(POLL_INTERVAL).await;
    }
}
