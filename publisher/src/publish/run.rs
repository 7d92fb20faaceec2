//! Publishes all layers in all regions at once. No job waits for another one, and no failed job stops another one.

use crate::{
    artifacts::bundle,
    aws::{audience::AccountId, layers::RegionLayers, regions::Target, s3::Bucket, session::Session},
    failure::{Failure, chain},
    publish::{
        interrupt::Urgency,
        job::{Job, JobContext, RolloutError},
        journal::JobState,
        plan::{Action, Inspection, Wanted},
        progress::{Progress, Step},
        report::Row,
        rollout::Done,
        write_context::WriteContext,
    },
};
use std::{collections::HashMap, sync::Arc, time::Duration};
use tokio::{
    sync::{mpsc, watch},
    task::{Id, JoinSet},
    time::{Instant, sleep_until},
};

/// The longest time that regions wait for others before they begin. A region that hangs longer is planned when it
/// answers.
const PLANNING_LIMIT: Duration = Duration::from_secs(15);

/// The options that are the same in all regions.
#[derive(Clone, Debug)]
pub(crate) struct LayerOptions {
    /// The account that owns the layers.
    pub(crate) owner: AccountId,
    /// The name of the bucket for zips that are too large for a request. It contains `{region}`.
    pub(crate) bucket: Option<String>,
    /// The names of the layers contain the release, so each layer has only one version.
    pub(crate) named: bool,
    /// Publish again although versions exist that are not what was sent.
    pub(crate) publish_again: bool,
}

/// Receives the events of a run.
pub(crate) trait Observer {
    /// Called once, when all regions are inspected or the time for it is over. An error prevents all jobs from
    /// beginning.
    fn planned(&mut self, rows: &[Row]) -> Result<(), Failure>;
    /// Called when a layer reaches another state in a region.
    fn progress(&mut self, progress: &Progress);
    /// Called when a layer ends in a region, successfully or not.
    fn ended(&mut self, row: &Row);
}

/// The result of one layer in one region.
#[derive(Debug)]
pub(crate) struct RegionResult {
    pub(crate) row: Row,
    /// A request of this job may still take effect.
    pub(crate) outcome_unknown: bool,
    /// The job, for further steps. None if the region is disabled in the account.
    pub(crate) job: Option<Job>,
}

/// Why a task has no result.
enum EndedEarly {
    Error(RolloutError),
    /// The task was cancelled or panicked.
    Fault(String),
}

type JobOutcome = Result<(Inspection, Option<Done>), RolloutError>;

struct Run {
    results: Vec<RegionResult>,
    index_of_task: HashMap<Id, usize>,
    tasks: JoinSet<JobOutcome>,
    start: watch::Sender<bool>,
    unplanned: usize,
}

/// Inspects all regions and reports the plan. With a write context, also does what is missing. The results are sorted
/// by region.
pub(crate) async fn publish_all(
    session: &Arc<Session>,
    targets: &[Target],
    wanted: &[Wanted],
    options: &LayerOptions,
    write: Option<&WriteContext>,
    observer: &mut impl Observer,
) -> Result<Vec<RegionResult>, Failure> {
    let (steps, mut step_receiver) = mpsc::unbounded_channel();
    let (start, _) = watch::channel(false);
    let mut run = Run {
        results: Vec::new(),
        index_of_task: HashMap::new(),
        tasks: JoinSet::new(),
        start,
        unplanned: 0,
    };
    for target in targets {
        run.spawn_region(session, target, wanted, options, write, &steps, observer);
    }
    drop(steps);
    let deadline = sleep_until(Instant::now() + PLANNING_LIMIT);
    tokio::pin!(deadline);
    let mut planned = false;
    while !run.tasks.is_empty() {
        if !planned && run.unplanned == 0 {
            planned = true;
            run.start_jobs(observer)?;
        }
        tokio::select! {
            biased;
            Some(step) = step_receiver.recv() => run.handle(step, observer),
            Some(task) = run.tasks.join_next_with_id() => run.finish(task, write.is_some(), observer),
            () = &mut deadline, if !planned && write.is_some() => {
                planned = true;
                run.start_jobs(observer)?;
            }
            () = immediate_interrupt(write), if write.is_some() => {
                run.tasks.abort_all();
                while let Some(task) = run.tasks.join_next_with_id().await {
                    run.finish(task, true, observer);
                }
            }
        }
    }
    if !planned {
        run.start_jobs(observer)?;
    }
    run.results.sort_by(|a, b| (&a.row.region, a.row.variant).cmp(&(&b.row.region, b.row.variant)));
    Ok(run.results)
}

async fn immediate_interrupt(write: Option<&WriteContext>) {
    if let Some(write) = write {
        write.interrupt.asked(Urgency::Now).await;
    }
}

impl Run {
    #[expect(clippy::too_many_arguments, reason = "all that a run knows, once for each region")]
    fn spawn_region(
        &mut self,
        session: &Arc<Session>,
        target: &Target,
        wanted: &[Wanted],
        options: &LayerOptions,
        write: Option<&WriteContext>,
        steps: &mpsc::UnboundedSender<Step>,
        observer: &mut impl Observer,
    ) {
        let layers = RegionLayers::new(session, &target.region);
        let needed = wanted.iter().map(|wanted| wanted.size).sum();
        for wanted in wanted {
            let row = Row::new(target, wanted.variant);
            if let Some(status) = &target.disabled {
                let row = row.failed(&format!("the region is {status} in this account"));
                let remedy =
                    format!("enable {} in the account, or leave it out with --exclude", target.region);
                let row = Row { remedy: Some(remedy), ..row };
                observer.ended(&row);
                self.results.push(RegionResult { row, outcome_unknown: false, job: None });
                continue;
            }
            let large = wanted.size > bundle::MAX_DIRECT_UPLOAD;
            let template = options.bucket.as_deref().filter(|_| large);
            let job = Job {
                region: target.region.clone(),
                wanted: wanted.clone(),
                layers: layers.clone(),
                bucket: template
                    .map(|template| Bucket::new(session, &target.region, template, &options.owner)),
                needed,
                owner: options.owner.clone(),
                named: options.named,
                publish_again: options.publish_again,
                steps: steps.clone(),
            };
            let context = write.and_then(|write| write.for_job(wanted.variant));
            let task = self.tasks.spawn(run_job(job.clone(), context, self.start.subscribe()));
            self.index_of_task.insert(task.id(), self.results.len());
            self.unplanned += 1;
            self.results.push(RegionResult { row, outcome_unknown: false, job: Some(job) });
        }
    }

    fn start_jobs(&mut self, observer: &mut impl Observer) -> Result<(), Failure> {
        let mut rows: Vec<Row> = self.results.iter().map(|result| result.row.clone()).collect();
        rows.sort_by(|a, b| (&a.region, a.variant).cmp(&(&b.region, b.variant)));
        // On an error the run is dropped, which ends its tasks. No task has written anything yet.
        observer.planned(&rows)?;
        self.start.send_replace(true);
        Ok(())
    }

    fn handle(&mut self, step: Step, observer: &mut impl Observer) {
        match step {
            Step::Progress(progress) => observer.progress(&progress),
            Step::Planned(id, inspection) => {
                self.unplanned = self.unplanned.saturating_sub(1);
                if let Some(result) =
                    self.index_of_task.get(&id).and_then(|index| self.results.get_mut(*index))
                {
                    result.row = result.row.clone().planned(&inspection);
                }
            }
        }
    }

    fn finish(
        &mut self,
        task: Result<(Id, JobOutcome), tokio::task::JoinError>,
        writes: bool,
        observer: &mut impl Observer,
    ) {
        let (id, outcome) = match task {
            Ok((id, outcome)) => (id, outcome.map_err(EndedEarly::Error)),
            Err(fault) if fault.is_cancelled() => {
                let text = "interrupted; the next run checks how far this one got".to_owned();
                (fault.id(), Err(EndedEarly::Fault(text)))
            }
            Err(fault) => (fault.id(), Err(EndedEarly::Fault(format!("a bug in the publisher: {fault}")))),
        };
        let Some(result) = self.index_of_task.get(&id).and_then(|index| self.results.get_mut(*index)) else {
            return;
        };
        let row = result.row.clone();
        result.outcome_unknown = match &outcome {
            Ok((_, done)) => done.as_ref().is_some_and(|done| done.outcome_unknown),
            Err(EndedEarly::Error(error)) => error.leaves_outcome_unknown(),
            Err(EndedEarly::Fault(_)) => false,
        };
        let inspected = row.action.is_some();
        result.row = match outcome {
            Ok((inspection, None)) => row.planned(&inspection),
            Ok((inspection, Some(done))) => row.planned(&inspection).done(done.version, done.note),
            Err(EndedEarly::Error(error)) => row.failed_by(&error),
            Err(EndedEarly::Fault(cause)) => row.failed(&cause),
        };
        if !inspected {
            self.unplanned = self.unplanned.saturating_sub(1);
        }
        if writes {
            observer.ended(&result.row);
        }
    }
}

async fn run_job(job: Job, context: Option<JobContext>, mut start: watch::Receiver<bool>) -> JobOutcome {
    let inspection = job.inspect().await?;
    let Some(context) = context else { return Ok((inspection, None)) };
    if let Some(id) = tokio::task::try_id() {
        let _ = job.steps.send(Step::Planned(id, Box::new(inspection.clone())));
    }
    if start.wait_for(|start| *start).await.is_err()
        || (context.interrupt.is_asked() && inspection.action != Action::Adopt)
    {
        return Err(RolloutError::Interrupted);
    }
    let done = job.carry_out(inspection.clone(), &context).await;
    if let Err(error) = &done
        && !matches!(error, RolloutError::NoArchitectures { .. })
    {
        let cause = chain(error);
        context.journal.record(job.journal_key(), JobState::Failed, None, Some(&cause))?;
    }
    Ok((inspection, Some(done?)))
}
