//! The resources that a run needs for writing to AWS.

use crate::{
    aws::{rate_limit::InFlight, upload::Upload},
    model::variant::Variant,
    publish::{interrupt::Interrupt, job::JobContext, journal::Journal},
};
use std::collections::BTreeMap;

/// The resources for writing. A run without them only makes a plan.
#[derive(Clone, Debug)]
pub(crate) struct WriteContext {
    /// The zip of each layer.
    pub(crate) uploads: BTreeMap<Variant, Upload>,
    /// The limit on uploads at the same time.
    pub(crate) in_flight: InFlight,
    pub(crate) journal: Journal,
    /// Whether the run was asked to stop.
    pub(crate) interrupt: Interrupt,
    /// Keep uploaded zips in the bucket.
    pub(crate) keep_s3: bool,
}

impl WriteContext {
    /// The context for one job. None if there is no upload for its variant.
    pub(crate) fn for_job(&self, variant: Variant) -> Option<JobContext> {
        let upload = self.uploads.get(&variant)?.clone();
        let in_flight = self.in_flight.clone();
        let journal = self.journal.clone();
        Some(JobContext {
            upload,
            in_flight,
            journal,
            interrupt: self.interrupt.clone(),
            keep_s3: self.keep_s3,
        })
    }
}
