//! `publisher attach --undo FILE`: puts functions back as they were before the run that wrote the state file.

use crate::{
    attach::{
        function_state::FunctionState,
        layer_list::{Family, ListChange},
        state_file::{Record, StateFile},
    },
    aws::{error::CallErrorKind, functions::RegionFunctions, partition::RegionName},
    commands::{
        attach::{
            Attach,
            bulk::{
                context::Context,
                report, rollout,
                row::{Job, Outcome, RegionPlan, Row},
                state_file_failure,
            },
            explain,
            name::FunctionName,
            plan::{self, Goal},
        },
        common::account,
    },
    failure::{Code, Failure},
    ui::Ui,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::Arc,
};
use tokio::task::JoinSet;

type Records = Vec<(FunctionName, String, Record)>;

impl Attach {
    pub(in crate::commands::attach) async fn undo(&self, ui: &Ui, file: &Path) -> Result<(), Failure> {
        let (session, identity) = account::open_session(ui, &self.account_options, None).await?;
        let state = StateFile::open_existing(file, &identity.account).map_err(state_file_failure)?;
        let state = Arc::new(state);
        let mut by_region: BTreeMap<RegionName, Records> = BTreeMap::new();
        for (arn, record) in &state.records {
            let name: FunctionName = arn.parse().map_err(Failure::new)?;
            let region = name.region.clone().ok_or_else(|| {
                Failure::message(Code::Failed, format!("{} names {arn}, which is no ARN", file.display()))
            })?;
            by_region.entry(region).or_default().push((name, arn.clone(), record.clone()));
        }
        if by_region.is_empty() {
            ui.status("Finished", "nothing is left to undo");
        }
        let regions = by_region.keys().cloned().collect();
        let (options, ui) = (self.clone(), ui.clone());
        let context = Arc::new(Context { options, manifest: None, session, identity, ui, regions });
        let mut tasks = JoinSet::new();
        for (region, records) in by_region {
            tasks.spawn(read(Arc::clone(&context), region, records));
        }
        let mut plans = Vec::new();
        while let Some(plan) = tasks.join_next().await {
            plans.push(plan.map_err(Failure::new)??);
        }
        plans.sort_by(|a, b| a.region.cmp(&b.region));
        if self.act.execute {
            rollout::carry_out(&context.ui, &context, plans, state, true).await
        } else {
            report::planned(&context.ui, &plans, &context.identity.account)
        }
    }
}

/// Reads the functions of one region, and plans how each goes back.
async fn read(context: Arc<Context>, region: RegionName, records: Records) -> Result<RegionPlan, Failure> {
    let functions = RegionFunctions::new(&context.session, &region);
    let family = Family { account: None, names: BTreeSet::new() };
    let mut plan = RegionPlan { region, functions, family, rows: Vec::new(), jobs: Vec::new() };
    for (name, arn, Record { before, after }) in records {
        let mut row = Row {
            function: arn.clone(),
            region: plan.region.clone(),
            arch: None,
            runtime: String::new(),
            outcome: Outcome::Deleted,
            why: Some("it was deleted after that run".to_owned()),
            action: ListChange::None,
            before: after.clone(),
            after: after.clone(),
            managed_by: None,
            aliases: Vec::new(),
            lacks_dsn: false,
        };
        match plan.functions.read(name.as_str()).await {
            Ok(function) => {
                (row.arch, row.runtime) = (Some(function.arch), function.runtime.clone());
                row.before = FunctionState::of(&function);
                row.after = row.before.clone();
                let goal = Goal::Restored { before, after };
                match plan::preview(&function, &goal, &plan.family) {
                    Ok(result) => {
                        row.why = None;
                        (row.action, row.after) = (result.action, result.after);
                        row.outcome = if result.changed { Outcome::Planned } else { Outcome::Unchanged };
                        if result.changed {
                            plan.jobs.push(Job { row: plan.rows.len(), name, arn, goal });
                        }
                    }
                    Err(failure) => {
                        (row.outcome, row.why) = (Outcome::Refused, Some(failure.text().to_owned()));
                    }
                }
            }
            Err(error) if error.kind == CallErrorKind::NotFound => {}
            Err(error) => {
                return Err(explain::cannot_read(error, &name, &plan.region, &context.identity.account));
            }
        }
        plan.rows.push(row);
    }
    Ok(plan)
}
