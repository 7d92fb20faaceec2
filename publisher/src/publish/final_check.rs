//! Looks again at the end of a run, because requests that the publisher gave up on may have taken effect since.

use crate::publish::{
    job::{Job, JobContext, RolloutError},
    journal::JobState,
    publish_once::Publishing,
    report::Row,
    rollout::Done,
    run::RegionResult,
    write_context::WriteContext,
};
use std::{collections::BTreeSet, time::Duration};
use tokio::task::JoinSet;

/// The wait before this look. Every unanswered request has at least this long to take effect. A request that took
/// effect may have been found right after another was sent, so this is longer than the looks before another request.
const WAIT_BEFORE_CHECK: Duration = Duration::from_secs(10);

/// The result of looking again at one row.
enum CheckResult {
    /// The layer is complete after all.
    Done(Box<Done>),
    /// This look completed nothing. The note, if there is one, is for the row.
    Note(Option<String>),
}

/// Looks again at every row that has a request with an unknown outcome. Adopts a version that appeared late, and
/// removes duplicates.
pub(crate) async fn check_unanswered(results: &mut [RegionResult], write: &WriteContext) {
    let mut tasks = JoinSet::new();
    for (index, result) in results.iter().enumerate().filter(|(_, result)| result.outcome_unknown) {
        if let (Some(job), Some(context)) = (result.job.clone(), write.for_job(result.row.variant)) {
            let done = result.row.version.filter(|_| result.row.done);
            tasks.spawn(async move {
                tokio::time::sleep(WAIT_BEFORE_CHECK).await;
                (index, check_again(&job, &context, done).await)
            });
        }
    }
    for (index, found) in tasks.join_all().await {
        let Some(result) = results.get_mut(index) else { continue };
        let row = result.row.clone();
        result.row = match found {
            Ok(CheckResult::Done(done)) => row.done(done.version, done.note),
            Ok(CheckResult::Note(note)) => {
                let note = note.or_else(|| row.note.clone());
                Row { note, ..row }
            }
            // The row keeps its first error, because that error says more than a failure of this look.
            Err(error @ (RolloutError::NotAsSent { .. } | RolloutError::RecordedNotAsSent(_))) => {
                row.failed_by(&error)
            }
            Err(_) => row,
        };
    }
}

/// Looks at one job again. `done` is the version with which it is complete.
async fn check_again(
    job: &Job,
    context: &JobContext,
    done: Option<i64>,
) -> Result<CheckResult, RolloutError> {
    if let Some(number) = done {
        let (note, has_looked) = Publishing::new(job, context).remove_late_duplicates(&BTreeSet::new()).await;
        if has_looked {
            job.record(context, JobState::Done, Some(number))?;
        }
        return Ok(CheckResult::Note(note));
    }
    let candidates = job.candidates().await?;
    candidates.refuse_broken()?;
    let Some(found) = job.wanted.choose(&candidates.identical) else { return Ok(CheckResult::Note(None)) };
    let version = job.grant(context, found.number, job.wanted.repair(found)).await?;
    let (note, _) = Publishing::new(job, context).remove_late_duplicates(&BTreeSet::new()).await;
    job.record(context, JobState::Done, Some(version.number))?;
    Ok(CheckResult::Done(Box::new(Done { version, note, outcome_unknown: false })))
}
