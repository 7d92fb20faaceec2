//! One layer in one region: the job, its context, how its progress is recorded, and why it can fail.
//!
//! `rollout` completes a job from any state, and `publish_once` has the one step that must not happen twice.

use crate::{
    aws::{
        audience::AccountId,
        error::CallError,
        layers::RegionLayers,
        partition::RegionName,
        policy,
        rate_limit::InFlight,
        region_error::RegionError,
        s3::{Bucket, BucketError},
        upload::Upload,
    },
    model::{digest::Digest, layer_name::LayerName, variant::Variant},
    publish::{
        difference::Difference,
        interrupt::Interrupt,
        journal::{JobState, Journal, JournalError},
        plan::Wanted,
        progress::{Progress, Step},
    },
};
use tokio::sync::mpsc::UnboundedSender;

/// Why a layer is not complete in a region.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RolloutError {
    #[error(transparent)]
    Call(#[from] RegionError),
    /// The version differs from what was wanted, although its policy was repaired.
    #[error("version {number} was read back with differences: {}", list(differences))]
    ReadBack {
        number: i64,
        /// The properties that differ.
        differences: Vec<Difference>,
    },
    /// A version that should hold our bytes holds other bytes, or has properties that were not requested.
    #[error(
        "version {number} is not what was sent: {}; it is {}",
        list(differences),
        given_to.as_deref().map_or_else(|| "left private".to_owned(), |who| format!("granted: {who}"))
    )]
    NotAsSent {
        number: i64,
        /// The properties that differ.
        differences: Vec<Difference>,
        /// The policy of the version, if it grants the version to anybody.
        given_to: Option<String>,
    },
    /// An earlier run recorded in the journal that the version is not what that run had sent.
    #[error(
        "an earlier run found that version {0} is not what was sent (the journal says in what respect), so it \
         is left private"
    )]
    RecordedNotAsSent(i64),
    /// The region has no arm64, and refuses a request with an architecture field.
    #[error("the region does not support the architecture field, so it runs only x86_64 ({source})")]
    NoArchitectures {
        /// The refusal.
        source: RegionError,
    },
    /// The grants would make the policy longer than AWS accepts.
    #[error("its policy would have {needed} bytes, and AWS accepts at most {}", policy::MAX_POLICY_BYTES)]
    PolicyTooLong {
        /// The length of that policy in bytes.
        needed: usize,
    },
    /// The version was published, but cannot be found.
    #[error("version {0} was published, and cannot be read back")]
    CannotReadBack(i64),
    #[error(
        "the region has room for {left} more bytes of code, but {needed} are needed; `publisher prune` makes room"
    )]
    NoRoom {
        /// The bytes that still fit.
        left: i64,
        /// The bytes of all zips together.
        needed: i64,
    },
    /// The name of the layer contains the release, so it can have only one version. The layer exists with other
    /// bytes.
    #[error(
        "the layer `{layer}` exists with other bytes (version {number}): a release is published under its name once"
    )]
    NameTaken {
        layer: String,
        /// The newest version of that layer.
        number: i64,
    },
    /// The region did not reach the version number of the others.
    #[error("at version {number} after {limit} more versions; the others are at {target}")]
    Behind {
        /// The version number in this region.
        number: i64,
        /// The version number in the other regions.
        target: i64,
        /// The largest number of versions that the run may publish to catch up.
        limit: u16,
    },
    /// The S3 bucket for the zip cannot be used.
    #[error(transparent)]
    Bucket(#[from] BucketError),
    /// The journal cannot be written. The action is not carried out, because it could not be recorded.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// A publish request got no answer, and looking did not show whether it took effect.
    #[error(transparent)]
    Unanswered(RegionError),
    /// The network is too slow for so many uploads at once.
    #[error(
        "the network is too slow for so many uploads at once ({source}); --max-uploads 4 sends fewer at once"
    )]
    TooSlow {
        /// The failure of the last upload.
        source: CallError,
    },
    /// The publish request without the architecture field cannot be built.
    #[error(transparent)]
    Upload(#[from] serde_json::Error),
    /// The user or the system asked the publisher to stop.
    #[error("interrupted before anything was written here")]
    Interrupted,
}

fn list(differences: &[Difference]) -> String {
    differences.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

impl From<CallError> for RolloutError {
    fn from(error: CallError) -> Self {
        Self::Call(error.into())
    }
}

/// One layer that is to be published in one region.
#[derive(Clone, Debug)]
pub(crate) struct Job {
    pub(crate) region: RegionName,
    pub(crate) wanted: Wanted,
    /// The Lambda API of the region.
    pub(crate) layers: RegionLayers,
    /// The S3 bucket for zips that are too large for a request.
    pub(crate) bucket: Option<Bucket>,
    /// The code storage in bytes that the zips need in the region.
    pub(crate) needed: u64,
    /// The account that owns the layer.
    pub(crate) owner: AccountId,
    /// The name of the layer contains the release, so the layer has only one version.
    pub(crate) named: bool,
    /// Publish again although a version exists that is not what was sent.
    pub(crate) publish_again: bool,
    /// The channel for progress messages.
    pub(crate) steps: UnboundedSender<Step>,
}

/// The resources that a job needs for writing.
#[derive(Clone, Debug)]
pub(crate) struct JobContext {
    /// The zip and its labels.
    pub(crate) upload: Upload,
    /// The limit on uploads at the same time.
    pub(crate) in_flight: InFlight,
    pub(crate) journal: Journal,
    /// Whether the run was asked to stop.
    pub(crate) interrupt: Interrupt,
    /// Keep the uploaded zip in the bucket.
    pub(crate) keep_s3: bool,
}

impl Job {
    /// Records a state, before the action that it announces is carried out.
    pub(crate) fn record(
        &self,
        context: &JobContext,
        state: JobState,
        version: Option<i64>,
    ) -> Result<(), RolloutError> {
        self.send_progress(state, version);
        Ok(context.journal.record(self.journal_key(), state, version, None)?)
    }

    /// Records a version that was found, and puts it down to one of the `unanswered` requests, unless an earlier run
    /// has done that. Returns how many versions may still have to be removed: as many as there are requests that may
    /// still take effect, and one if an earlier run made another version.
    pub(crate) fn put_down(
        &self,
        context: &JobContext,
        number: i64,
        unanswered: u32,
    ) -> Result<u32, RolloutError> {
        let (region, layer, _, sha256) = self.journal_key();
        self.record(context, JobState::Published, Some(number))?;
        let is_known = context.journal.published(region, layer, sha256).contains(&number);
        let has_other = context.journal.has_unfinished_besides(region, layer, sha256, number);
        Ok(unanswered.saturating_sub(u32::from(!is_known)).saturating_add(has_other.into()))
    }

    /// The values that identify the job in the journal.
    pub(crate) fn journal_key(&self) -> (&RegionName, &LayerName, Variant, Digest) {
        (&self.region, &self.wanted.layer, self.wanted.variant, self.wanted.digest)
    }

    /// Sends the state of the layer to the run.
    pub(crate) fn send_progress(&self, state: JobState, version: Option<i64>) {
        let region = self.region.clone();
        let variant = self.wanted.variant;
        // Sending fails if the receiver is closed. That is no reason to stop the job.
        let _ = self.steps.send(Step::Progress(Progress { region, variant, state, version }));
    }
}
