//! The messages that the tasks of a run send about their progress.

use crate::{
    aws::partition::RegionName,
    model::variant::Variant,
    publish::{journal::JobState, plan::Inspection},
};
use tokio::task::Id;

/// A message from one task.
#[derive(Debug)]
pub(crate) enum Step {
    /// The task has inspected its region.
    Planned(Id, Box<Inspection>),
    /// The layer has reached another state.
    Progress(Progress),
}

/// The state of one layer in one region.
#[derive(Clone, Debug)]
pub(crate) struct Progress {
    pub(crate) region: RegionName,
    pub(crate) variant: Variant,
    pub(crate) state: JobState,
    /// The number of the version, once it is known.
    pub(crate) version: Option<i64>,
}
