//! What a run over many functions knows about each of them.

use crate::{
    attach::{
        function_state::FunctionState,
        layer_list::{Family, ListChange},
    },
    aws::{function_list::Alias, functions::RegionFunctions, partition::RegionName},
    commands::attach::{name::FunctionName, plan::Goal},
    model::arch::Arch,
};
use serde::Serialize;

/// What becomes of a function.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Outcome {
    /// The plan has a change for it.
    Planned,
    /// It is as it should be.
    Unchanged,
    /// It cannot have layers, or is being deleted.
    Skipped,
    /// A change would break it, or somebody has changed it after the run that is undone.
    Refused,
    /// The change is in effect.
    Updated,
    /// AWS refused the change, or did not carry it out.
    Failed,
    /// It was deleted after the plan was made.
    Deleted,
    /// The run ended before its turn.
    NotBegun,
    /// The run ended while it was being changed.
    Unknown,
}

/// One function, as `--json` prints it.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Row {
    /// The ARN.
    pub(crate) function: String,
    pub(crate) region: RegionName,
    /// Null if the function does not exist any more.
    pub(crate) arch: Option<Arch>,
    pub(crate) runtime: String,
    pub(crate) outcome: Outcome,
    /// Why there is no change, or why it failed.
    pub(crate) why: Option<String>,
    pub(crate) action: ListChange,
    pub(crate) before: FunctionState,
    pub(crate) after: FunctionState,
    /// The tool that deploys the function, and reverts the change at the next deployment.
    pub(crate) managed_by: Option<String>,
    /// The aliases that point to published versions, which the change does not reach.
    pub(crate) aliases: Vec<Alias>,
    /// Whether the function has no `SENTRY_DSN`.
    #[serde(skip)]
    pub(crate) lacks_dsn: bool,
}

impl Row {
    /// The function's name, without the rest of the ARN.
    pub(crate) fn name(&self) -> &str {
        name_of(&self.function)
    }
}

/// The name in the ARN of a function.
pub(crate) fn name_of(arn: &str) -> &str {
    arn.rsplit(':').next().unwrap_or(arn)
}

/// A change to make.
#[derive(Debug)]
pub(crate) struct Job {
    /// The row of the function.
    pub(crate) row: usize,
    pub(crate) name: FunctionName,
    pub(crate) arn: String,
    pub(crate) goal: Goal,
}

/// The plan for one region.
#[derive(Debug)]
pub(crate) struct RegionPlan {
    pub(crate) region: RegionName,
    /// The client, with the region's limit of requests per second.
    pub(crate) functions: RegionFunctions,
    pub(crate) family: Family,
    pub(crate) rows: Vec<Row>,
    pub(crate) jobs: Vec<Job>,
}
