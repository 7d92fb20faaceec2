//! One layer in one region, from whatever is there to done: find by hash → publish → grant → read back.
//!
//! Every state can be found again by looking, so whoever is interrupted runs it again. `publishing` has the one
//! step that must not be done twice.

use crate::{
    aws::{
        error::{CallError, CallErrorKind},
        layers::{LayerVersion, RegionLayers},
        partition::RegionName,
        policy::Repair,
        rate_limit::InFlight,
        s3::{Bucket, BucketError},
        upload::Upload,
    },
    model::{digest::Digest, layer_name::LayerName, variant::Variant},
    publish::{
        interrupt::Interrupt,
        journal::{JobState, Journal, JournalError},
        plan::{Action, Difference, Wanted},
        publish_once::Publishing,
        run::Step,
    },
};
use std::{collections::BTreeSet, time::Duration};
use tokio::sync::mpsc::UnboundedSender;

/// How long what was just written may take to be seen.
const SETTLE: [Duration; 4] =
    [Duration::ZERO, Duration::from_millis(500), Duration::from_secs(1), Duration::from_secs(2)];

/// What was found, and what it needs.
#[derive(Clone, Debug)]
pub(crate) struct Inspection {
    /// What is to be done.
    pub(crate) action: Action,
    /// The version that it is done to.
    pub(crate) found: Option<LayerVersion>,
    /// What its policy needs, or will need.
    pub(crate) repair: Repair,
    /// The number that the next version will most likely get.
    pub(crate) next: i64,
    /// What a person should know of beside it.
    pub(crate) note: Option<String>,
}

/// Why a layer is not done in a region.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RolloutError {
    /// AWS said no, or nothing.
    #[error(transparent)]
    Call(CallError),
    /// They were good when the run began.
    #[error("the credentials have expired, renew them ({0})")]
    Expired(CallError),
    /// The account has the credentials, but the region does not know them.
    #[error("the region is not enabled in this account, or not yet ({0})")]
    NotEnabled(CallError),
    /// It was published, and is not what was meant.
    #[error("version {number} reads back wrong: {}", list(differences))]
    ReadBack {
        /// Which version.
        number: i64,
        /// In what respect.
        differences: Vec<Difference>,
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
    /// Somebody asked to stop.
    #[error("interrupted before anything was written here")]
    Interrupted,
}

/// What took effect too late to be removed, or could not be: the same bytes, newer, and nobody's.
fn left_over(identical: &[LayerVersion], found: &LayerVersion) -> Option<String> {
    let is_left = |version: &&LayerVersion| version.number > found.number && version.policy.is_empty();
    let numbers: Vec<String> =
        identical.iter().filter(is_left).map(|version| version.number.to_string()).collect();
    let text = format!("the same bytes, given to nobody, are left over as version {}", numbers.join(" "));
    (!numbers.is_empty()).then_some(text)
}

fn list(differences: &[Difference]) -> String {
    differences.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

impl RolloutError {
    /// Whose credentials these are was asked before: here, a refusal is the region's, not the account's.
    pub(crate) fn in_region(error: CallError) -> Self {
        if error.kind == CallErrorKind::Credentials { Self::NotEnabled(error) } else { error.into() }
    }
}

impl From<CallError> for RolloutError {
    fn from(error: CallError) -> Self {
        if error.kind == CallErrorKind::Expired { Self::Expired(error) } else { Self::Call(error) }
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
    /// The layer's name is the release's: there is one version of it.
    pub(crate) named: bool,
    /// Where to say how far it is.
    pub(crate) steps: UnboundedSender<Step>,
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

/// What came of it.
#[derive(Debug)]
pub(crate) struct Done {
    /// As read back.
    pub(crate) version: LayerVersion,
    /// What a person should know of beside it.
    pub(crate) note: Option<String>,
}

impl Job {
    /// Looks, and decides. Writes nothing.
    pub(crate) async fn inspect(&self) -> Result<Inspection, RolloutError> {
        self.tell(JobState::Looking, None);
        let (identical, newest) = self.identical().await.map_err(RolloutError::in_region)?;
        let found = self.wanted.choose(&identical).cloned();
        let action = self.wanted.action(found.as_ref());
        let mut note = found.as_ref().and_then(|found| left_over(&identical, found));
        if action == Action::Publish {
            if self.named && newest > 0 {
                let layer = self.wanted.layer.to_string();
                return Err(RolloutError::NameTaken { layer, number: newest });
            }
            note = self.check_room().await?;
            if let Some(bucket) = &self.bucket {
                bucket.check().await?;
            }
        }
        let policy = found.as_ref().map(|version| version.policy.clone()).unwrap_or_default();
        let repair = policy.repair(&self.wanted.audience);
        Ok(Inspection { action, found, repair, next: newest + 1, note })
    }

    async fn check_room(&self) -> Result<Option<String>, RolloutError> {
        let needed = i64::try_from(self.needed).unwrap_or(i64::MAX);
        match self.layers.code_storage_left().await {
            Ok(left) if left < needed => Err(RolloutError::NoRoom { left, needed }),
            Ok(_) => Ok(None),
            // A right that few give, for a check that seldom matters.
            Err(error) => Ok(Some(format!("room for code not checked ({error})"))),
        }
    }

    /// Does what the inspection found to be missing, and reads it back.
    pub(crate) async fn carry_out(
        &self,
        inspection: Inspection,
        context: &JobContext,
    ) -> Result<Done, RolloutError> {
        let (mut note, mut doubt) = (None, false);
        let (number, repair) = match inspection.found {
            Some(version) if inspection.action == Action::Adopt => {
                self.note(context, JobState::Done, Some(version.number))?;
                return Ok(Done { version, note });
            }
            Some(version) => (version.number, inspection.repair),
            None => {
                let published = Publishing::new(self, context).once(&BTreeSet::new()).await?;
                (note, doubt) = (published.note, published.doubt);
                (published.number, published.policy.repair(&self.wanted.audience))
            }
        };
        let version = self.grant(context, number, repair).await?;
        if doubt {
            note = Publishing::new(self, context).late(number, &BTreeSet::new()).await.or(note);
        }
        self.note(context, JobState::Done, Some(number))?;
        Ok(Done { version, note })
    }

    /// Mends the policy until it reads back right.
    pub(crate) async fn grant(
        &self,
        context: &JobContext,
        number: i64,
        repair: Repair,
    ) -> Result<LayerVersion, RolloutError> {
        self.mend(context, number, &repair).await?;
        match self.read_back(number).await {
            // Somebody else was at the policy as well: once more, from what is there now.
            Err(RolloutError::ReadBack { .. }) => {
                let found = self.layers.read(self.wanted.layer.as_str(), number).await?;
                let found = found.ok_or(RolloutError::Vanished(number))?;
                self.mend(context, number, &self.wanted.repair(&found)).await?;
                self.read_back(number).await
            }
            answer => answer,
        }
    }

    async fn mend(&self, context: &JobContext, number: i64, repair: &Repair) -> Result<(), RolloutError> {
        if repair.is_empty() {
            return Ok(());
        }
        self.note(context, JobState::Granting, Some(number))?;
        let layer = self.wanted.layer.as_str();
        for (id, reader) in &repair.add {
            self.layers.permit(layer, number, id, reader).await?;
        }
        for id in &repair.remove {
            self.layers.forbid(layer, number, id).await?;
        }
        self.note(context, JobState::Granted, Some(number))
    }

    /// All versions with these bytes, and the newest number of any.
    pub(crate) async fn identical(&self) -> Result<(Vec<LayerVersion>, i64), CallError> {
        let layer = self.wanted.layer.as_str();
        let listed = self.layers.list(layer).await?;
        let newest = listed.iter().map(|listed| listed.number).max().unwrap_or(0);
        let mut identical = Vec::new();
        for listed in listed.iter().filter(|listed| self.wanted.may_be(&listed.description)) {
            let version = self.layers.read(layer, listed.number).await?;
            identical.extend(version.filter(|version| self.wanted.fixed_differences(version).is_empty()));
        }
        Ok((identical, newest))
    }

    async fn read_back(&self, number: i64) -> Result<LayerVersion, RolloutError> {
        let mut last = RolloutError::Vanished(number);
        for pause in SETTLE {
            tokio::time::sleep(pause).await;
            let Some(version) = self.layers.read(self.wanted.layer.as_str(), number).await? else { continue };
            let differences = self.wanted.differences(&version);
            if differences.is_empty() {
                return Ok(version);
            }
            last = RolloutError::ReadBack { number, differences };
        }
        Err(last)
    }

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

    fn tell(&self, state: JobState, version: Option<i64>) {
        let (region, variant) = (self.region.clone(), self.wanted.variant);
        // Nobody listening any more is no reason to stop.
        let _ = self.steps.send(Step::Progress(Progress { region, variant, state, version }));
    }
}
