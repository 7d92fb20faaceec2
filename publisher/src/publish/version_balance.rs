//! Finds regions with different version numbers, and brings them to the same number.
//!
//! Lambda assigns the numbers in sequence, for each region separately. So only regions that are behind can be moved:
//! the same bytes are published again until their number reaches the newest.

use crate::{
    aws::partition::RegionName,
    model::variant::Variant,
    publish::{
        job::{Job, RolloutError},
        journal::JobState,
        publish_once::Publishing,
        report::Row,
        rollout::Done,
        run::RegionResult,
        write_context::WriteContext,
    },
};
use std::collections::{BTreeMap, BTreeSet};
use tokio::task::JoinSet;

/// The number of rounds. A region may overshoot in one round, and the others follow it in the next.
const MAX_ROUNDS: usize = 4;

/// A layer that has different version numbers in different regions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Drift {
    pub(crate) variant: Variant,
    /// The regions that have each number.
    pub(crate) numbers: BTreeMap<i64, Vec<RegionName>>,
}

impl Drift {
    fn newest(&self) -> i64 {
        self.numbers.keys().next_back().copied().unwrap_or_default()
    }

    /// The difference between the newest and the oldest number.
    pub(crate) fn width(&self) -> i64 {
        self.newest() - self.numbers.keys().next().copied().unwrap_or_default()
    }
}

impl std::fmt::Display for Drift {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let group = |(number, regions): (&i64, &Vec<RegionName>)| {
            let names: Vec<&str> = regions.iter().take(3).map(RegionName::as_str).collect();
            let more =
                if regions.len() > 3 { format!(" and {} more", regions.len() - 3) } else { String::new() };
            format!("{number} in {}{more}", names.join(" "))
        };
        let groups: Vec<String> = self.numbers.iter().rev().map(group).collect();
        write!(f, "{} has different version numbers: {}", self.variant, groups.join(", "))
    }
}

/// The layers whose existing or planned version numbers differ between regions.
pub(crate) fn drift(rows: &[Row]) -> Vec<Drift> {
    let mut all: BTreeMap<Variant, BTreeMap<i64, Vec<RegionName>>> = BTreeMap::new();
    for row in rows.iter().filter(|row| row.error.is_none()) {
        if let Some(number) = row.version {
            all.entry(row.variant).or_default().entry(number).or_default().push(row.region.clone());
        }
    }
    let drifts = all.into_iter().map(|(variant, numbers)| Drift { variant, numbers });
    drifts.filter(|drift| drift.numbers.len() > 1).collect()
}

/// Brings regions that are behind up to the newest number, with at most `limit` more versions in each region.
/// Failures are recorded in the rows.
pub(crate) async fn balance(results: &mut [RegionResult], write: &WriteContext, limit: u16) {
    // Lambda does not reuse the numbers of deleted versions. So a region can overshoot, and the others have to
    // follow.
    for _ in 0..MAX_ROUNDS {
        let rows: Vec<Row> = results.iter().filter(|b| b.row.done).map(|b| b.row.clone()).collect();
        let drifts = drift(&rows);
        let mut tasks = JoinSet::new();
        for (index, result) in results.iter_mut().enumerate() {
            let (Some(drift), Some(job), Some(number)) = (
                drifts.iter().find(|drift| drift.variant == result.row.variant),
                &result.job,
                result.row.version,
            ) else {
                continue;
            };
            let target = drift.newest();
            if number == target || !result.row.done {
                continue;
            }
            if target - number > i64::from(limit) {
                result.row.error =
                    Some(format!("{} versions behind, more than --balance allows", target - number));
                continue;
            }
            let job = job.clone();
            let write = write.clone();
            tasks.spawn(async move { (index, catch_up(&job, &write, target, limit).await) });
        }
        if tasks.is_empty() {
            return;
        }
        for (index, outcome) in tasks.join_all().await {
            let Some(result) = results.get_mut(index) else { continue };
            result.row = match outcome {
                Ok(done) => result.row.clone().done(done.version, done.note),
                Err(error) => result.row.clone().failed_by(&error),
            };
        }
    }
}

async fn catch_up(job: &Job, write: &WriteContext, target: i64, limit: u16) -> Result<Done, RolloutError> {
    let context = write.for_job(job.wanted.variant).ok_or(RolloutError::Interrupted)?;
    let mut number = 0;
    for _ in 0..limit {
        let known: BTreeSet<i64> =
            job.candidates().await?.identical.iter().map(|version| version.number).collect();
        let publishing = Publishing::new(job, &context);
        let published = publishing.publish_once(&known).await?;
        number = published.number;
        if number >= target {
            let repair = published.policy.repair(&job.wanted.audience);
            let version = job.grant(&context, number, repair).await?;
            job.record(&context, JobState::Done, Some(number))?;
            return Ok(Done { version, note: published.note, outcome_unknown: publishing.has_unanswered() });
        }
    }
    Err(RolloutError::Behind { number, target, limit })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        aws::regions::Target,
        model::{layer_arch::LayerArch, variant::LayerKind},
    };

    const ARM64: Variant = Variant { arch: LayerArch::Arm64, kind: LayerKind::Plain };
    const X86_64: Variant = Variant { arch: LayerArch::X86_64, kind: LayerKind::Plain };
    const RELAY: Variant = Variant { arch: LayerArch::Arm64, kind: LayerKind::Relay };

    fn row(region: &str, variant: Variant, version: i64) -> Row {
        let target = Target { region: region.parse().unwrap(), required: true, disabled: None };
        Row { version: Some(version), ..Row::new(&target, variant) }
    }

    #[test]
    fn only_numbers_of_one_layer_are_compared() {
        let rows = [
            row("eu-west-1", ARM64, 3),
            row("us-east-1", ARM64, 3),
            row("eu-west-1", X86_64, 5),
            row("us-east-1", X86_64, 2),
            row("us-west-2", X86_64, 2).failed("x"),
            row("us-east-1", RELAY, 1),
        ];
        let drifts = drift(&rows);
        assert_eq!(drifts.len(), 1);
        assert_eq!((drifts[0].variant, drifts[0].width()), (X86_64, 3));
        let text = "x86_64 has different version numbers: 5 in eu-west-1, 2 in us-east-1";
        assert_eq!(drifts[0].to_string(), text);
    }
}
