//! What `publisher yank` prints: the plan or the results, and what to do next.

use crate::{
    commands::{
        common::account::{execute_command, same_command},
        yank::{
            Yank,
            placement::{Direction, State, YankResult},
        },
    },
    failure::{Code, Failure},
    github_actions::WorkflowStep,
    ui::{self, Ui},
};
use serde::Serialize;

/// The result as `--json` prints it.
#[derive(Serialize)]
struct YankDocument<'a> {
    execute: bool,
    undo: bool,
    version: &'a str,
    /// Whether layers.json says that the release is yanked.
    marked: bool,
    layers: &'a [YankResult],
}

/// What is left after the run.
pub(super) struct Rest {
    /// Whether layers.json has the mark.
    pub(super) marked: bool,
    /// The number of layer versions that this run was not asked for and that are not in the wanted state.
    pub(super) elsewhere: usize,
}

impl Yank {
    pub(super) fn report(&self, ui: &Ui, results: &[YankResult], rest: &Rest) -> Result<(), Failure> {
        let version = self.version();
        if ui.json() {
            let document = YankDocument {
                execute: self.act.execute,
                undo: self.undo,
                version,
                marked: rest.marked,
                layers: results,
            };
            ui.result(serde_json::to_string_pretty(&document).map_err(Failure::new)?);
        } else {
            ui.result(self.table(results));
        }
        let count = |state: State| results.iter().filter(|result| result.state == state).count();
        let verb = match (self.direction(), self.act.execute) {
            (Direction::Yank, true) => "withdrawn",
            (Direction::Yank, false) => "to withdraw",
            (Direction::Undo, true) => "restored",
            (Direction::Undo, false) => "to restore",
        };
        let changed = count(if self.act.execute { State::Done } else { State::ToDo });
        let counts =
            [(State::Unchanged, "unchanged"), (State::Deleted, "deleted before"), (State::Failed, "failed")];
        let counts = counts.into_iter().filter(|(state, _)| count(*state) > 0);
        let mut summary = vec![format!("{version}: {changed} layer versions {verb}")];
        summary.extend(counts.map(|(state, text)| format!("{} {text}", count(state))));
        let summary = summary.join(", ");
        ui.status(if self.act.execute { "Finished" } else { "Planned" }, &summary);
        if rest.elsewhere > 0 {
            ui.warning(format!(
                "{} layer versions are not part of this run, and stay as they are: run it without --regions, and in \
                 each partition",
                rest.elsewhere
            ));
        }
        if self.act.execute {
            WorkflowStep::from_env()
                .summary(&format!("### {summary}\n\n```text\n{}\n```", self.table(results)))?;
        }
        let failed: Vec<String> = results
            .iter()
            .filter_map(|result| Some(format!("{}: {}", result.arn, result.error.as_ref()?)))
            .collect();
        if !failed.is_empty() {
            let text = format!("{} layer versions are not {verb}:\n  {}", failed.len(), failed.join("\n  "));
            let policy = if self.undo { "yank --undo" } else { "yank" };
            return Err(Failure::message(Code::Incomplete, text).hint(format!(
                "`publisher iam-policy {policy}` prints the rights that it takes; the same command resumes:\n  {}",
                same_command()
            )));
        }
        if !self.act.execute {
            ui.status("Note", format!("nothing was written; to carry it out:  {}", execute_command()));
        }
        Ok(())
    }

    fn table(&self, results: &[YankResult]) -> String {
        let row = |result: &YankResult| {
            let state = match (result.state, self.direction()) {
                (State::ToDo, Direction::Yank) => "withdraw",
                (State::ToDo, Direction::Undo) => "restore",
                (State::Done, Direction::Yank) => "withdrawn",
                (State::Done, Direction::Undo) => "restored",
                (State::Unchanged, _) => "unchanged",
                (State::Deleted, _) => "deleted before",
                (State::Failed, _) => "failed",
            };
            [
                result.region.to_string(),
                result.variant.to_string(),
                state.to_owned(),
                result.before.clone().unwrap_or_else(|| "–".to_owned()),
                result.after.clone(),
            ]
        };
        ui::table(["region", "layer", "state", "may use it", "is to use it"], results.iter().map(row))
    }
}
