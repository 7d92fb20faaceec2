//! Publishes a version, which must not happen twice.
//!
//! AWS has no token that makes a repeated publish request harmless. So the publisher looks immediately before the
//! request (because the plan may be old), records that it begins, and sends the request once. If the answer is
//! unclear, it looks again, by hash, before anything else. It compares what AWS reports of the new version with what
//! was sent before anybody may use it. If a late or concurrent publish created a duplicate, one version stays (the
//! oldest with grants, or else the oldest) and duplicates without grants are deleted.

mod verification;

use crate::{
    aws::{
        error::{CallError, CallErrorKind},
        layers::{LayerVersion, PublishAnswer, ZipSource},
        policy::Policy,
        rate_limit::Reservation,
        refusal::Refusal,
        s3::{Bucket, StagedZip},
        upload::Upload,
    },
    model::arch::Arch,
    publish::{
        interrupt::Urgency,
        job::{Job, JobContext, RolloutError},
        journal::JobState,
    },
};
use std::{
    collections::BTreeSet,
    sync::atomic::{AtomicBool, AtomicU32, Ordering},
    time::Duration,
};

/// The number of publish attempts for one layer in one region.
const MAX_ATTEMPTS: u32 = 5;
/// The number of stalls after which publishing fails. In a stall, only a part of the request got across. Each stall
/// lowers the number of uploads at the same time.
const MAX_STALLS: u32 = 8;
/// The pauses before each look after an ambiguous answer. A request that we gave up on may still take effect.
const CHECK_PAUSES: [Duration; 3] = [Duration::from_secs(1), Duration::from_secs(2), Duration::from_secs(4)];

#[derive(Debug)]
pub(crate) struct Published {
    pub(crate) number: i64,
    /// The policy that the version has now.
    pub(crate) policy: Policy,
    /// An additional message for the user.
    pub(crate) note: Option<String>,
}

/// Publishes for one job.
pub(crate) struct Publishing<'a> {
    job: &'a Job,
    context: &'a JobContext,
    /// Whether a request was sent whose outcome is unknown.
    outcome_unknown: AtomicBool,
    /// The number of requests, of this run and of earlier ones, that got no answer and to which no version was put
    /// down. Each may still take effect. Another version of an earlier run counts, too.
    unanswered: AtomicU32,
}

impl<'a> Publishing<'a> {
    pub(crate) fn new(job: &'a Job, context: &'a JobContext) -> Self {
        let (region, layer, _, sha256) = job.journal_key();
        let unanswered = context.journal.unanswered(region, layer, sha256).into();
        Self { job, context, outcome_unknown: AtomicBool::new(false), unanswered }
    }

    /// Whether a duplicate may be there or still come, so that it has to be looked for once more at the end of the run.
    pub(crate) fn has_unanswered(&self) -> bool {
        self.unanswered.load(Ordering::Relaxed) > 0
    }

    /// Publishes a version in addition to the known ones, unless another run has done so meanwhile.
    pub(crate) async fn publish_once(&self, known: &BTreeSet<i64>) -> Result<Published, RolloutError> {
        let (region, layer, _, sha256) = self.job.journal_key();
        let journal = &self.context.journal;
        let is_missing = |published: BTreeSet<i64>| !published.is_subset(known);
        if journal.has_open_publish(region, layer, sha256)
            || is_missing(journal.published(region, layer, sha256))
        {
            // An earlier run began to publish, and its outcome is unknown or not visible yet.
            self.job.record(self.context, JobState::Checking, None)?;
            if let Some(version) = self.find_published(known).await? {
                return self.adopt(&version);
            }
        }
        let mut staged = None;
        let result = self.publish_with_retries(known, &mut staged).await.map_err(|error| match error {
            RolloutError::Call(error) if self.outcome_unknown.load(Ordering::Relaxed) => {
                RolloutError::Unanswered(error)
            }
            error => error,
        });
        if let (Some((bucket, staged)), false) = (&staged, self.context.keep_s3)
            && let Err(error) = bucket.remove(staged).await
        {
            let text = format!("{} is still in the bucket {} ({error})", staged.key, staged.bucket);
            return result.map(|published| Published { note: Some(text), ..published });
        }
        result
    }

    async fn publish_with_retries(
        &self,
        known: &BTreeSet<i64>,
        staged: &mut Option<(&'a Bucket, StagedZip)>,
    ) -> Result<Published, RolloutError> {
        let mut attempt = 1;
        let mut stalls = 0;
        let mut unanswered: Option<CallError> = None;
        let mut upload = self.context.upload.clone();
        let mut known = known.clone();
        loop {
            let reservation = match (self.reserve().await, &unanswered) {
                // After an unanswered request, `Interrupted` would be wrong: it claims that nothing was written.
                (Err(RolloutError::Interrupted), Some(error)) => return Err(error.clone().into()),
                (reservation, _) => reservation?,
            };
            let candidates = self.job.candidates().await?.without(&known);
            if attempt == 1 {
                // Versions that were broken before our first request are not our doing, and the plan has already
                // decided whether they are a reason to stop. Versions that break from now on are a reason to stop.
                known.extend(candidates.broken.iter().map(|(version, _)| version.number));
            }
            if let Some(version) = self.usable(&candidates.without(&known))? {
                return self.adopt(&version);
            }
            if let (None, Some(bucket)) = (&staged, &self.job.bucket) {
                let (_, _, variant, sha256) = self.job.journal_key();
                let key = format!("sentry-lambda-extension/{}-{sha256}.zip", variant.arch);
                match bucket.put(key, &self.context.upload.zip).await {
                    Ok(zip) => *staged = Some((bucket, zip)),
                    // An object can be uploaded again. The network is too slow, so fewer uploads run from now on.
                    Err(error) if error.kind == CallErrorKind::Stalled => {
                        reservation.slot.upload_aborted();
                        self.job.record(self.context, JobState::Refused, None)?;
                        stalls += 1;
                        if stalls == MAX_STALLS {
                            return Err(RolloutError::TooSlow { source: error });
                        }
                        continue;
                    }
                    Err(error) => return Err(error.into()),
                }
            }
            if self.context.interrupt.is_asked() {
                return Err(RolloutError::Interrupted);
            }
            let staged = staged.as_ref().map(|(_, staged)| staged);
            let error = match self.publish(&upload, staged, reservation).await? {
                Ok(answer) => {
                    let (number, policy, note) = self.verify(&answer, &known).await?;
                    return Ok(Published { number, policy, note });
                }
                Err(error) => error,
            };
            if error.refusal() == Some(Refusal::Architectures) && upload.label.arch.is_some() {
                self.job.record(self.context, JobState::Refused, None)?;
                // A layer without the field is for x86_64, which is the architecture of such a region.
                if !self.job.wanted.variant.arch.includes(Arch::X86_64) {
                    return Err(RolloutError::NoArchitectures { source: error.into() });
                }
                upload = upload.without_architecture()?;
                continue;
            }
            match error.kind {
                CallErrorKind::Ambiguous => {
                    self.outcome_unknown.store(true, Ordering::Relaxed);
                    self.unanswered.fetch_add(1, Ordering::Relaxed);
                    self.job.record(self.context, JobState::Checking, None)?;
                    if let Some(version) = self.find_published(&known).await? {
                        return self.adopt(&version);
                    }
                    unanswered = Some(error.clone());
                }
                CallErrorKind::Stalled => {
                    self.job.record(self.context, JobState::Refused, None)?;
                    stalls += 1;
                    if stalls == MAX_STALLS {
                        return Err(RolloutError::TooSlow { source: error });
                    }
                    continue;
                }
                CallErrorKind::Throttled
                | CallErrorKind::Busy
                | CallErrorKind::Unsent
                | CallErrorKind::Expired
                    if attempt < MAX_ATTEMPTS =>
                {
                    self.job.record(self.context, JobState::Refused, None)?;
                    self.pause(attempt).await?;
                }
                _ => {
                    self.job.record(self.context, JobState::Refused, None)?;
                    return Err(error.into());
                }
            }
            if attempt == MAX_ATTEMPTS {
                return Err(error.into());
            }
            attempt += 1;
        }
    }

    async fn publish(
        &self,
        upload: &Upload,
        staged: Option<&StagedZip>,
        reservation: Reservation,
    ) -> Result<Result<PublishAnswer, CallError>, RolloutError> {
        self.job.record(self.context, JobState::Publishing, None)?;
        let source = staged.map_or(ZipSource::Direct, ZipSource::Bucket);
        let layer = self.job.wanted.layer.as_str();
        Ok(self.job.layers.publish(layer, upload, source, reservation).await)
    }

    fn adopt(&self, version: &LayerVersion) -> Result<Published, RolloutError> {
        let still_open =
            self.job.put_down(self.context, version.number, self.unanswered.load(Ordering::Relaxed))?;
        self.unanswered.store(still_open, Ordering::Relaxed);
        Ok(Published { number: version.number, policy: version.policy.clone(), note: None })
    }

    async fn reserve(&self) -> Result<Reservation, RolloutError> {
        self.job.record(self.context, JobState::Waiting, None)?;
        tokio::select! {
            biased;
            () = self.context.interrupt.asked(Urgency::Soon) => Err(RolloutError::Interrupted),
            reservation = self.context.in_flight.reserve(self.context.upload.bytes()) => {
                reservation.ok_or(RolloutError::Interrupted)
            }
        }
    }

    /// Waits longer after each attempt. The pause is random, so that the regions do not all repeat their requests at
    /// once.
    async fn pause(&self, attempt: u32) -> Result<(), RolloutError> {
        let longest = Duration::from_secs(1 << attempt.min(5));
        let pause = longest.mul_f64(0.5 + fastrand::f64() / 2.0);
        tokio::select! {
            () = self.context.interrupt.asked(Urgency::Soon) => Err(RolloutError::Interrupted),
            () = tokio::time::sleep(pause) => Ok(()),
        }
    }

    async fn find_published(&self, known: &BTreeSet<i64>) -> Result<Option<LayerVersion>, RolloutError> {
        for pause in CHECK_PAUSES {
            tokio::time::sleep(pause).await;
            if let Some(version) = self.usable(&self.job.candidates().await?.without(known))? {
                return Ok(Some(version));
            }
        }
        Ok(None)
    }
}
