//! One layer in one region: what a job is, what it needs, how it is noted, and why it can fail.
//!
//! `rollout` has the way of a job from whatever is there to done, and `publish_once` the one step that must not be
//! done twice.

use crate::{
    aws::{
        audience::AccountId,
        error::{CallError, RegionError},
        layers::RegionLayers,
        partition::RegionName,
        policy,
        rate_limit::InFlight,
        s3::{Bucket, BucketError},
        upload::Upload,
    },
    model::{digest::Digest, layer_name::LayerName, variant::Variant},
    publish::{
        interrupt::Interrupt,
        journal::{JobState, Journal, JournalError},
        plan::{Difference, Wanted},
        progress::{Progress, Step},
    },
};
use tokio::sync::mpsc::UnboundedSender;

/// Why a layer is not done in a region.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RolloutError {
    /// AWS refused a call, or did not answer.
    #[error(transparent)]
    Call(#[from] RegionError),
    /// It was published, and is not what was meant.
    #[error("version {number} reads back wrong: {}", list(differences))]
    ReadBack {
        /// Which version.
        number: i64,
        /// In what respect.
        differences: Vec<Difference>,
    },
    /// A version that should hold our bytes holds others, or is not what was asked for.
    #[error(
        "version {number} is not what was sent: {}; it is {}",
        list(differences),
        given_to.as_deref().map_or_else(|| "left private".to_owned(), |who| format!("granted: {who}"))
    )]
    NotAsSent {
        /// Which version.
        number: i64,
        /// In what respect.
        differences: Vec<Difference>,
        /// Who may use it all the same.
        given_to: Option<String>,
    },
    /// An earlier run was answered with other bytes than it had sent.
    #[error(
        "an earlier run was answered that version {0} is not what was sent (the journal says in what respect), so it \
         is left private"
    )]
    Refuted(i64),
    /// The region has no arm64, and refuses a request that speaks of architectures.
    #[error("the region knows no architectures yet, so it runs x86_64 alone ({source})")]
    NoArchitectures {
        /// What it said.
        source: RegionError,
    },
    /// AWS would refuse the grants.
    #[error("its policy would have {needed} bytes, and AWS takes at most {}", policy::LONGEST)]
    PolicyTooLong {
        /// The length that it would have.
        needed: usize,
    },
    /// It was published, and is not there.
    #[error("version {0} was published, and cannot be read back")]
    Vanished(i64),
    /// The account's code storage is full.
    #[error(
        "the region has room for {left} more bytes of code, {needed} are needed; `publisher prune` makes room"
    )]
    NoRoom {
        /// Bytes that still fit.
        left: i64,
        /// Bytes of all zips.
        needed: i64,
    },
    /// A release that is in the name can have but one version.
    #[error(
        "the layer `{layer}` exists with other bytes (version {number}): a release is published under its name once"
    )]
    NameTaken {
        /// The layer.
        layer: String,
        /// Its newest version.
        number: i64,
    },
    /// It did not catch up with the others.
    #[error("at version {number} after {limit} more versions; the others are at {target}")]
    Behind {
        /// Where it is.
        number: i64,
        /// Where the others are.
        target: i64,
        /// How much was tried.
        limit: u16,
    },
    /// The bucket on the way is of no use.
    #[error(transparent)]
    Bucket(#[from] BucketError),
    /// It cannot be noted what is being done, so it is not done.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// Publishing was asked for, and neither an answer nor a look said what became of it.
    #[error(transparent)]
    Unanswered(RegionError),
    /// The line does not carry so many uploads at once.
    #[error(
        "the line is too slow for so many uploads at once ({source}); --max-uploads 4 sends fewer at once"
    )]
    TooSlow {
        /// How the last one ended.
        source: CallError,
    },
    /// The request without architectures cannot be made.
    #[error(transparent)]
    Upload(#[from] serde_json::Error),
    /// Somebody asked to stop.
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

/// A layer on its way to a region.
#[derive(Clone, Debug)]
pub(crate) struct Job {
    /// Where.
    pub(crate) region: RegionName,
    /// What.
    pub(crate) wanted: Wanted,
    /// The region's calls.
    pub(crate) layers: RegionLayers,
    /// The way for zips that are too large for a request.
    pub(crate) bucket: Option<Bucket>,
    /// Bytes that the region needs room for.
    pub(crate) needed: u64,
    /// The account that the layer is in.
    pub(crate) owner: AccountId,
    /// The layer's name is the release's: there is one version of it.
    pub(crate) named: bool,
    /// Publish beside a version that is not what was sent.
    pub(crate) publish_again: bool,
    /// Where to say how far it is.
    pub(crate) steps: UnboundedSender<Step>,
}

/// What it takes to write.
#[derive(Clone, Debug)]
pub(crate) struct JobContext {
    /// The bytes.
    pub(crate) upload: Upload,
    /// How much at once.
    pub(crate) in_flight: InFlight,
    /// Where it is noted.
    pub(crate) journal: Journal,
    /// Whether to go on.
    pub(crate) interrupt: Interrupt,
    /// Leave what goes through a bucket there.
    pub(crate) keep_s3: bool,
}

impl Job {
    /// Notes a state, before what it announces is done.
    pub(crate) fn note(
        &self,
        context: &JobContext,
        state: JobState,
        version: Option<i64>,
    ) -> Result<(), RolloutError> {
        self.tell(state, version);
        Ok(context.journal.note(self.journal_key(), state, version, None)?)
    }

    /// What the journal knows it by.
    pub(crate) fn journal_key(&self) -> (&RegionName, &LayerName, Variant, Digest) {
        (&self.region, &self.wanted.layer, self.wanted.variant, self.wanted.digest)
    }

    /// Tells the run how far the layer is.
    pub(crate) fn tell(&self, state: JobState, version: Option<i64>) {
        let region = self.region.clone();
        let variant = self.wanted.variant;
        // Nobody listening any more is no reason to stop.
        let _ = self.steps.send(Step::Progress(Progress { region, variant, state, version }));
    }
}
