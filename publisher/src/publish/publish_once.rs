//! The step that must not be done twice.
//!
//! Publishing has no token that would make a repetition harmless. So: look right before (the plan may be old), note
//! that it begins, ask once, and where the answer is not clear, look again, by hash, before anything else. What
//! takes effect too late even for that, or is done by somebody else in the same moment, shows up beside ours
//! afterwards: of versions with the same bytes the oldest stays, and what nobody was given yet goes.

use crate::{
    aws::{
        error::{CallError, CallErrorKind},
        layers::{LayerVersion, ZipSource},
        policy::Policy,
        rate_limit::Reservation,
        s3::{Bucket, Staged},
    },
    publish::{
        interrupt::Urgency,
        job::{Job, JobContext, RolloutError},
        journal::JobState,
        plan::Wanted,
    },
};
use std::{collections::BTreeSet, time::Duration};

/// How often publishing is begun for one region and architecture.
const ATTEMPTS: u32 = 5;
/// When to look after an ambiguous answer: a request that we gave up on may still be at work.
const LOOK_AFTER: [Duration; 3] = [Duration::from_secs(1), Duration::from_secs(2), Duration::from_secs(4)];
/// When to look for what came too late for those looks, once all is done.
const LATE: Duration = Duration::from_secs(5);

/// A version with the right bytes.
#[derive(Debug)]
pub(crate) struct Published {
    /// Its number.
    pub(crate) number: i64,
    /// As it is now.
    pub(crate) policy: Policy,
    /// A request before it was never answered, and did not show: it may still.
    pub(crate) doubt: bool,
    /// What a person should know of beside it.
    pub(crate) note: Option<String>,
}

/// One job's publishing.
pub(crate) struct Publishing<'a> {
    job: &'a Job,
    context: &'a JobContext,
}

impl<'a> Publishing<'a> {
    /// For one job.
    pub(crate) fn new(job: &'a Job, context: &'a JobContext) -> Self {
        Self { job, context }
    }

    /// Publishes a version beside those that are known, unless somebody did in the meantime.
    pub(crate) async fn once(&self, known: &BTreeSet<i64>) -> Result<Published, RolloutError> {
        let (region, layer, _, sha256) = self.job.journal_key();
        if self.context.journal.left_open(region, layer, sha256) {
            // An earlier run began it, and nobody knows how it ended.
            self.job.note(self.context, JobState::Checking, None)?;
            if let Some(version) = self.look_for(known).await? {
                return self.taken_over(&version);
            }
        }
        let mut staged = None;
        let result = self.repeat(known, &mut staged).await;
        if let (Some((bucket, staged)), false) = (&staged, self.context.keep_s3)
            && let Err(error) = bucket.remove(staged).await
        {
            let text = format!("{} is still in the bucket {} ({error})", staged.key, staged.bucket);
            return result.map(|published| Published { note: Some(text), ..published });
        }
        result
    }

    async fn repeat(
        &self,
        known: &BTreeSet<i64>,
        staged: &mut Option<(&'a Bucket, Staged)>,
    ) -> Result<Published, RolloutError> {
        let mut attempt = 1;
        let mut doubt: Option<CallError> = None;
        loop {
            let reservation = match (self.reserve().await, &doubt) {
                // What is in doubt was not interrupted before anything was written.
                (Err(RolloutError::Interrupted), Some(error)) => return Err(error.clone().into()),
                (reservation, _) => reservation?,
            };
            if let Some(version) = self.appeared(known).await? {
                return self.taken_over(&version);
            }
            if let (None, Some(bucket)) = (&staged, &self.job.bucket) {
                let (_, _, variant, sha256) = self.job.journal_key();
                let key = format!("sentry-lambda-extension/{}-{sha256}.zip", variant.arch);
                *staged = Some((bucket, bucket.put(key, &self.context.upload.zip).await?));
            }
            if self.context.interrupt.is_asked() {
                return Err(RolloutError::Interrupted);
            }
            let staged = staged.as_ref().map(|(_, staged)| staged);
            let error = match self.publish(staged, reservation).await? {
                Ok(number) => {
                    self.job.note(self.context, JobState::Published, Some(number))?;
                    let (number, policy, note) = self.settle(number, known).await;
                    return Ok(Published { number, policy, doubt: doubt.is_some(), note });
                }
                Err(error) => error,
            };
            match error.kind {
                CallErrorKind::Ambiguous => {
                    self.job.note(self.context, JobState::Checking, None)?;
                    if let Some(version) = self.look_for(known).await? {
                        return self.taken_over(&version);
                    }
                    doubt = Some(error.clone());
                }
                CallErrorKind::Throttled
                | CallErrorKind::Busy
                | CallErrorKind::Unsent
                | CallErrorKind::Expired
                    if attempt < ATTEMPTS =>
                {
                    self.job.note(self.context, JobState::Refused, None)?;
                    self.pause(attempt).await?;
                }
                _ => {
                    self.job.note(self.context, JobState::Refused, None)?;
                    return Err(error.into());
                }
            }
            if attempt == ATTEMPTS {
                return Err(error.into());
            }
            attempt += 1;
        }
    }

    async fn publish(
        &self,
        staged: Option<&Staged>,
        reservation: Reservation,
    ) -> Result<Result<i64, CallError>, RolloutError> {
        self.job.note(self.context, JobState::Publishing, None)?;
        let way = staged.map_or(ZipSource::Direct, ZipSource::Bucket);
        let layer = self.job.wanted.layer.as_str();
        Ok(self.job.layers.publish(layer, &self.context.upload, way, Some(reservation)).await)
    }

    fn taken_over(&self, version: &LayerVersion) -> Result<Published, RolloutError> {
        self.job.note(self.context, JobState::Published, Some(version.number))?;
        Ok(Published { number: version.number, policy: version.policy.clone(), doubt: false, note: None })
    }

    async fn reserve(&self) -> Result<Reservation, RolloutError> {
        self.job.note(self.context, JobState::Waiting, None)?;
        tokio::select! {
            biased;
            () = self.context.interrupt.asked(Urgency::Soon) => Err(RolloutError::Interrupted),
            reservation = self.context.in_flight.reserve(self.context.upload.bytes()) => {
                reservation.ok_or(RolloutError::Interrupted)
            }
        }
    }

    /// Longer each time, and for each region differently, so that not all come back at once.
    async fn pause(&self, attempt: u32) -> Result<(), RolloutError> {
        let longest = Duration::from_secs(1 << attempt.min(5));
        let pause = longest.mul_f64(0.5 + fastrand::f64() / 2.0);
        tokio::select! {
            () = self.context.interrupt.asked(Urgency::Soon) => Err(RolloutError::Interrupted),
            () = tokio::time::sleep(pause) => Ok(()),
        }
    }

    async fn look_for(&self, known: &BTreeSet<i64>) -> Result<Option<LayerVersion>, RolloutError> {
        for pause in LOOK_AFTER {
            tokio::time::sleep(pause).await;
            if let Some(version) = self.appeared(known).await? {
                return Ok(Some(version));
            }
        }
        Ok(None)
    }

    async fn appeared(&self, known: &BTreeSet<i64>) -> Result<Option<LayerVersion>, CallError> {
        let (mut identical, _) = self.job.identical().await?;
        identical.retain(|version| !known.contains(&version.number));
        Ok(self.job.wanted.choose(&identical).cloned())
    }

    /// After our own version is there: whether it is the only one.
    async fn settle(&self, ours: i64, known: &BTreeSet<i64>) -> (i64, Policy, Option<String>) {
        let identical = match self.job.identical().await {
            Ok((identical, _)) => identical,
            // What we published is there; whether something else is as well is seen at the next run.
            Err(error) => {
                let note = format!("not checked whether somebody else published it too ({error})");
                return (ours, Policy::default(), Some(note));
            }
        };
        let appeared: Vec<LayerVersion> =
            identical.into_iter().filter(|version| !known.contains(&version.number)).collect();
        // A list that does not have our version yet says nothing.
        if !appeared.iter().any(|version| version.number == ours) {
            return (ours, Policy::default(), None);
        }
        let (kept, surplus) = Wanted::settle(&appeared);
        let note = self.remove(&surplus).await;
        kept.map_or((ours, Policy::default(), note.clone()), |kept| (kept.number, kept.policy.clone(), note))
    }

    async fn remove(&self, surplus: &[&LayerVersion]) -> Option<String> {
        let mut left = Vec::new();
        for version in surplus {
            if let Err(error) = self.job.layers.delete(self.job.wanted.layer.as_str(), version.number).await {
                left.push(format!(
                    "version {} has the same bytes and is left over ({error})",
                    version.number
                ));
            }
        }
        (!left.is_empty()).then(|| left.join("; "))
    }

    /// Once all is done, looks again for a request that was given up on. (Only for those in doubt: others wait
    /// for nothing.)
    pub(crate) async fn late(&self, ours: i64, known: &BTreeSet<i64>) -> Option<String> {
        tokio::time::sleep(LATE).await;
        self.settle(ours, known).await.2
    }
}
