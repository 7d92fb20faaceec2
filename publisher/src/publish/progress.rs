//! What the tasks of a run tell while they go on.

use crate::{
    aws::partition::RegionName,
    model::variant::Variant,
    publish::{journal::JobState, plan::Inspection},
};
use tokio::task::Id;

/// What a task tells while it goes on.
#[derive(Debug)]
pub(crate) enum Step {
    /// The inspection is done.
    Planned(Id, Box<Inspection>),
    /// It got further.
    Progress(Progress),
}

/// How far a layer is in a region.
#[derive(Clone, Debug)]
pub(crate) struct Progress {
    /// Where.
    pub(crate) region: RegionName,
    /// Which.
    pub(crate) variant: Variant,
    /// How far.
    pub(crate) state: JobState,
    /// The version, once it has a number.
    pub(crate) version: Option<i64>,
}
