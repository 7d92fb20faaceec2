//! Carries out the plan: a few functions of each region at once, each recorded in the state file before it is changed.

use crate::{
    attach::{function_state::FunctionState, layer_list::Family, state_file::StateFile},
    aws::{functions::RegionFunctions, partition::RegionName},
    commands::attach::{
        bulk::{
            context::Context,
            report,
            row::{Job, Outcome, RegionPlan, Row, name_of},
        },
        change::{Cause, FunctionUpdater, UpdateError},
        plan::UpdateResult,
    },
    failure::Failure,
    publish::interrupt::{Interrupt, Urgency},
    ui::Ui,
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::{sync::mpsc, task::JoinSet};

/// The functions of one region that are changed at once. More would not be faster, because the requests of a region
/// are limited, and an update takes about a second.
const AT_ONCE: usize = 8;

/// The changes of one region, which its workers share.
struct RegionJobs {
    /// The number of the region in the plan.
    number: usize,
    region: RegionName,
    functions: RegionFunctions,
    family: Family,
    jobs: Vec<Job>,
    next: AtomicUsize,
    is_throttled: AtomicBool,
}

/// What the workers of all regions share.
struct Shared {
    ui: Ui,
    account: String,
    wait: Duration,
    state: Arc<StateFile>,
    is_undo: bool,
    interrupt: Interrupt,
}

/// What a worker tells of a job, which is named by the numbers of its region and its row.
enum Progress {
    Begun(usize, usize),
    Ended(usize, usize, Result<UpdateResult, UpdateError>),
}

/// Makes all planned changes, and prints the result.
pub(crate) async fn carry_out(
    ui: &Ui,
    context: &Context,
    plans: Vec<RegionPlan>,
    state: Arc<StateFile>,
    is_undo: bool,
) -> Result<(), Failure> {
    ui.text(&report::table(plans.iter().flat_map(|plan| &plan.rows)));
    let stop = ui.clone();
    let interrupt = Interrupt::on_signals(move |urgency| match urgency {
        Urgency::Now => stop.notice("stopping at once; the next run looks at what this one has begun"),
        _ => stop.notice("finishing what has begun, and starting nothing new; interrupt again to stop now"),
    });
    let shared = Arc::new(Shared {
        ui: ui.clone(),
        account: context.identity.account.clone(),
        wait: Duration::from_secs(context.options.wait),
        state: Arc::clone(&state),
        is_undo,
        interrupt: interrupt.map_err(Failure::new)?,
    });
    if is_undo {
        settle(&plans, &state)?;
    }
    let total = plans.iter().map(|plan| plan.jobs.len()).sum();
    let (rows, regions): (Vec<Vec<Row>>, Vec<Arc<RegionJobs>>) =
        plans.into_iter().enumerate().map(split).unzip();
    let rows = work_off(&shared, regions, rows, total).await;
    let is_throttled = rows.iter().flatten().any(|row| row.why.as_deref() == Some(report::THROTTLED));
    let rows: Vec<Row> = rows.into_iter().flatten().collect();
    report::carried_out(ui, &context.identity.account, &rows, state.path(), is_undo, is_throttled)
}

/// Records the functions that need no change, so that the next `--undo` has nothing to do with them.
fn settle(plans: &[RegionPlan], state: &StateFile) -> Result<(), Failure> {
    let settled = [Outcome::Unchanged, Outcome::Deleted];
    for row in plans.iter().flat_map(|plan| &plan.rows).filter(|row| settled.contains(&row.outcome)) {
        state.undone(&row.function).map_err(Failure::new)?;
    }
    Ok(())
}

fn split((number, plan): (usize, RegionPlan)) -> (Vec<Row>, Arc<RegionJobs>) {
    let RegionPlan { region, functions, family, rows, jobs } = plan;
    let (next, is_throttled) = (AtomicUsize::new(0), AtomicBool::new(false));
    (rows, Arc::new(RegionJobs { number, region, functions, family, jobs, next, is_throttled }))
}

/// Runs the workers until all jobs have ended, or until the run has to end at once.
async fn work_off(
    shared: &Arc<Shared>,
    regions: Vec<Arc<RegionJobs>>,
    mut rows: Vec<Vec<Row>>,
    total: usize,
) -> Vec<Vec<Row>> {
    let (sender, mut progress) = mpsc::channel(AT_ONCE);
    let mut workers = JoinSet::new();
    for region in &regions {
        for _ in 0..AT_ONCE.min(region.jobs.len()) {
            workers.spawn(work(Arc::clone(shared), Arc::clone(region), sender.clone()));
        }
    }
    drop(sender);
    let mut ended = 0;
    loop {
        tokio::select! {
            () = shared.interrupt.asked(Urgency::Now) => {
                workers.abort_all();
                break;
            }
            event = progress.recv() => match event {
                None => break,
                Some(Progress::Begun(region, row)) => {
                    if let Some(row) = rows.get_mut(region).and_then(|rows| rows.get_mut(row)) {
                        row.outcome = Outcome::Unknown;
                    }
                }
                Some(Progress::Ended(region, row, result)) => {
                    ended += 1;
                    if let Some(row) = rows.get_mut(region).and_then(|rows| rows.get_mut(row)) {
                        conclude(row, result);
                        report::ended(&shared.ui, row, ended, total);
                    }
                }
            },
        }
    }
    for (rows, region) in rows.iter_mut().zip(&regions) {
        let is_throttled = region.is_throttled.load(Ordering::Relaxed);
        for row in rows {
            match row.outcome {
                Outcome::Planned => {
                    let why = if is_throttled { report::THROTTLED } else { report::INTERRUPTED };
                    (row.outcome, row.why) = (Outcome::NotBegun, Some(why.to_owned()));
                }
                Outcome::Unknown => row.why = Some(report::CUT_OFF.to_owned()),
                _ => {}
            }
        }
    }
    rows
}

/// Takes one job of the region after the other, until there is none or the run should end.
async fn work(shared: Arc<Shared>, region: Arc<RegionJobs>, sender: mpsc::Sender<Progress>) {
    while !shared.interrupt.is_asked() && !region.is_throttled.load(Ordering::Relaxed) {
        let Some(job) = region.jobs.get(region.next.fetch_add(1, Ordering::Relaxed)) else { return };
        // The receiver ends only together with the run.
        if sender.send(Progress::Begun(region.number, job.row)).await.is_err() {
            return;
        }
        let result = change(&shared, &region, job).await;
        if result.as_ref().is_err_and(|error| error.cause == Cause::Throttled) {
            region.is_throttled.store(true, Ordering::Relaxed);
        }
        if sender.send(Progress::Ended(region.number, job.row, result)).await.is_err() {
            return;
        }
    }
}

async fn change(shared: &Shared, region: &RegionJobs, job: &Job) -> Result<UpdateResult, UpdateError> {
    let announce = |before: &FunctionState, after: &FunctionState| {
        let record = || shared.state.updating(&job.arn, before, after);
        // An undo changes nothing that it would have to put back.
        if shared.is_undo { Ok(()) } else { tokio::task::block_in_place(record).map_err(Failure::new) }
    };
    let updater = FunctionUpdater {
        functions: &region.functions,
        name: &job.name,
        region: &region.region,
        account: &shared.account,
        wait: shared.wait,
        quiet: true,
        announce: Some(&announce),
    };
    let result = updater.reach(&shared.ui, &job.goal, &region.family).await?;
    if shared.is_undo {
        tokio::task::block_in_place(|| shared.state.undone(&job.arn)).map_err(Failure::new)?;
    }
    Ok(result)
}

fn conclude(row: &mut Row, result: Result<UpdateResult, UpdateError>) {
    match result {
        Ok(result) => {
            row.outcome = if result.changed { Outcome::Updated } else { Outcome::Unchanged };
            (row.action, row.before, row.after) = (result.action, result.before, result.after);
        }
        Err(UpdateError { cause: Cause::Gone, .. }) => {
            (row.outcome, row.why) =
                (Outcome::Deleted, Some("it was deleted after the plan was made".to_owned()));
        }
        Err(UpdateError { cause: Cause::Throttled, .. }) => {
            (row.outcome, row.why) = (Outcome::NotBegun, Some(report::THROTTLED.to_owned()));
        }
        Err(UpdateError { failure, .. }) => {
            let name = name_of(&row.function);
            row.why = Some(failure.text().replace(&row.function, name));
            row.outcome = Outcome::Failed;
        }
    }
}
