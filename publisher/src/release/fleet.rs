//! All regions and layers at once: none waits for another, none stops another.

use super::{
    kind::Variant,
    plan::{Action, Wanted},
    report::Row,
    rollout::{Done, Job, Look, Means, Progress, RolloutError},
    stop::{Stop, Urgency},
};
use crate::aws::{
    budget::InFlight, layers::RegionLayers, regions::Target, s3::Bucket, session::Session, upload::Upload,
};
use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};
use tokio::{
    sync::{mpsc, watch},
    task::{Id, JoinSet},
    time::{Instant, sleep_until},
};

/// How long the regions that have answered wait for the others before they begin: a region that hangs is
/// planned as soon as it answers.
const PLANNED: Duration = Duration::from_secs(15);

/// What to write, and how. Without it, there is only a plan.
#[derive(Clone, Debug)]
pub struct Cargo {
    /// One for each layer.
    pub uploads: BTreeMap<Variant, Upload>,
    /// The bound on what is on its way.
    pub in_flight: InFlight,
    /// Where it is noted.
    pub journal: super::journal::Journal,
    /// Whether to go on.
    pub stop: Stop,
    /// Leave what goes through a bucket there.
    pub keep_s3: bool,
}

/// What is the same everywhere.
#[derive(Clone, Debug, Default)]
pub struct Terms {
    /// The bucket's name, with `{region}` in it, for zips that are too large for a request.
    pub bucket: Option<String>,
    /// The layers' names are the release's.
    pub named: bool,
}

/// Whoever is told.
pub trait Observer {
    /// Everything has been looked at, or as much as answered in time. An error keeps all of it from being begun.
    fn planned(&mut self, rows: &[Row]) -> Result<(), crate::failure::Failure>;
    /// A layer got further in a region.
    fn progress(&mut self, progress: &Progress);
    /// It ended, one way or the other.
    fn ended(&mut self, row: &Row);
}

/// A layer in a region, with its result.
#[derive(Debug)]
pub struct Berth {
    /// What became of it.
    pub row: Row,
    /// For more to be done to it; none where the region is switched off.
    pub job: Option<Job>,
}

impl Cargo {
    /// What one job needs of it.
    pub fn means(&self, variant: Variant) -> Option<Means> {
        let upload = self.uploads.get(&variant)?.clone();
        let (in_flight, journal) = (self.in_flight.clone(), self.journal.clone());
        Some(Means { upload, in_flight, journal, stop: self.stop.clone(), keep_s3: self.keep_s3 })
    }
}

/// What a task tells while it goes on.
#[derive(Debug)]
pub enum Step {
    /// It has looked.
    Planned(Id, Box<Look>),
    /// It got further.
    Progress(Progress),
}

type Outcome = Result<(Look, Option<Done>), RolloutError>;

struct Run {
    berths: Vec<Berth>,
    of_task: HashMap<Id, usize>,
    tasks: JoinSet<Outcome>,
    go: watch::Sender<bool>,
    unplanned: usize,
}

/// Looks everywhere, tells the plan and, with cargo, does what is missing. The answer is sorted by region.
pub async fn run(
    session: &Arc<Session>,
    targets: &[Target],
    wanted: &[Wanted],
    terms: &Terms,
    cargo: Option<&Cargo>,
    observer: &mut impl Observer,
) -> Result<Vec<Berth>, crate::failure::Failure> {
    let (steps, mut heard) = mpsc::unbounded_channel();
    let (go, _) = watch::channel(false);
    let mut run =
        Run { berths: Vec::new(), of_task: HashMap::new(), tasks: JoinSet::new(), go, unplanned: 0 };
    for target in targets {
        run.board(session, target, wanted, terms, cargo, &steps, observer);
    }
    drop(steps);
    let deadline = sleep_until(Instant::now() + PLANNED);
    tokio::pin!(deadline);
    let mut planned = false;
    while !run.tasks.is_empty() {
        if !planned && run.unplanned == 0 {
            planned = true;
            run.begin(observer)?;
        }
        tokio::select! {
            biased;
            Some(step) = heard.recv() => run.hear(step, observer),
            Some(task) = run.tasks.join_next_with_id() => run.end(task, cargo.is_some(), observer),
            () = &mut deadline, if !planned && cargo.is_some() => {
                planned = true;
                run.begin(observer)?;
            }
            () = now(cargo), if cargo.is_some() => {
                run.tasks.abort_all();
                while let Some(task) = run.tasks.join_next_with_id().await {
                    run.end(task, true, observer);
                }
            }
        }
    }
    if !planned {
        run.begin(observer)?;
    }
    run.berths.sort_by(|a, b| (&a.row.region, a.row.variant).cmp(&(&b.row.region, b.row.variant)));
    Ok(run.berths)
}

async fn now(cargo: Option<&Cargo>) {
    if let Some(cargo) = cargo {
        cargo.stop.asked(Urgency::Now).await;
    }
}

impl Run {
    #[expect(clippy::too_many_arguments, reason = "all that a run knows, once for each region")]
    fn board(
        &mut self,
        session: &Arc<Session>,
        target: &Target,
        wanted: &[Wanted],
        terms: &Terms,
        cargo: Option<&Cargo>,
        steps: &mpsc::UnboundedSender<Step>,
        observer: &mut impl Observer,
    ) {
        let layers = RegionLayers::new(session, &target.region);
        let needed = wanted.iter().map(|wanted| wanted.size).sum();
        for wanted in wanted {
            let row = Row::new(target, wanted.variant);
            if let Some(status) = &target.disabled {
                let row = row.failed(&format!("the region is {status} in this account"));
                observer.ended(&row);
                self.berths.push(Berth { row, job: None });
                continue;
            }
            let large = wanted.size > super::bundle::DIRECT;
            let template = terms.bucket.as_deref().filter(|_| large);
            let job = Job {
                region: target.region.clone(),
                wanted: wanted.clone(),
                layers: layers.clone(),
                bucket: template.map(|template| Bucket::new(session, &target.region, template)),
                needed,
                named: terms.named,
                steps: steps.clone(),
            };
            let means = cargo.and_then(|cargo| cargo.means(wanted.variant));
            let task = self.tasks.spawn(one(job.clone(), means, self.go.subscribe()));
            self.of_task.insert(task.id(), self.berths.len());
            self.unplanned += 1;
            self.berths.push(Berth { row, job: Some(job) });
        }
    }

    fn begin(&mut self, observer: &mut impl Observer) -> Result<(), crate::failure::Failure> {
        let mut rows: Vec<Row> = self.berths.iter().map(|berth| berth.row.clone()).collect();
        rows.sort_by(|a, b| (&a.region, a.variant).cmp(&(&b.region, b.variant)));
        // Dropping the run ends the tasks; none of them has written anything yet.
        observer.planned(&rows)?;
        self.go.send_replace(true);
        Ok(())
    }

    fn hear(&mut self, step: Step, observer: &mut impl Observer) {
        match step {
            Step::Progress(progress) => observer.progress(&progress),
            Step::Planned(id, look) => {
                self.unplanned = self.unplanned.saturating_sub(1);
                if let Some(berth) = self.of_task.get(&id).and_then(|index| self.berths.get_mut(*index)) {
                    berth.row = berth.row.clone().planned(&look);
                }
            }
        }
    }

    fn end(
        &mut self,
        task: Result<(Id, Outcome), tokio::task::JoinError>,
        writes: bool,
        observer: &mut impl Observer,
    ) {
        let (id, outcome) = match task {
            Ok((id, outcome)) => (id, outcome.map_err(|e| (crate::failure::chain(&e), is_fatal(&e)))),
            Err(fault) if fault.is_cancelled() => {
                (fault.id(), Err(("interrupted; the next run finds out how far it got".to_owned(), false)))
            }
            Err(fault) => (fault.id(), Err((format!("a fault of this program: {fault}"), false))),
        };
        let Some(berth) = self.of_task.get(&id).and_then(|index| self.berths.get_mut(*index)) else { return };
        let row = berth.row.clone();
        let looked = row.action.is_some();
        berth.row = match outcome {
            Ok((look, None)) => row.planned(&look),
            Ok((look, Some(done))) => row.planned(&look).done(done.version, done.note),
            Err((cause, fatal)) => Row { fatal, ..row.failed(&cause) },
        };
        if !looked {
            self.unplanned = self.unplanned.saturating_sub(1);
        }
        if writes {
            observer.ended(&berth.row);
        }
    }
}

/// A mistake in what was asked for, rather than a region's trouble.
fn is_fatal(error: &RolloutError) -> bool {
    matches!(error, RolloutError::Bucket(_))
}

async fn one(job: Job, means: Option<Means>, mut go: watch::Receiver<bool>) -> Outcome {
    let look = job.look().await?;
    let Some(means) = means else { return Ok((look, None)) };
    if let Some(id) = tokio::task::try_id() {
        let _ = job.steps.send(Step::Planned(id, Box::new(look.clone())));
    }
    if go.wait_for(|go| *go).await.is_err() || (means.stop.is_asked() && look.action != Action::Adopt) {
        return Err(RolloutError::Interrupted);
    }
    let done = job.carry_out(look.clone(), &means).await;
    if let Err(error) = &done {
        let cause = crate::failure::chain(error);
        means.journal.note(job.subject(), super::journal::State::Failed, None, Some(&cause))?;
    }
    Ok((look, Some(done?)))
}
