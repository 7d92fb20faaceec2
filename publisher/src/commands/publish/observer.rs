//! The messages of `publisher publish` while it runs.

use crate::{
    failure::{Code, Failure},
    publish::{
        progress::Progress,
        progress_bars::ProgressBars,
        report::{self, Row},
        run::Observer,
        version_balance,
    },
    ui::Ui,
};
use serde_json::json;

/// Shows the progress of a run in the terminal.
pub(super) struct ProgressObserver<'a> {
    pub(super) ui: &'a Ui,
    pub(super) bars: ProgressBars,
    pub(super) execute: bool,
    pub(super) balance: Option<u16>,
}

impl Observer for ProgressObserver<'_> {
    fn planned(&mut self, rows: &[Row]) -> Result<(), Failure> {
        self.ui.event(&json!({"event": "plan", "regions": rows}));
        let fatal = report::reasons(rows.iter().filter(|row| row.fatal && row.required));
        if !fatal.is_empty() {
            let text = format!("nothing was written:\n  {}", fatal.join("\n  "));
            let mut next: Vec<&str> = rows.iter().filter_map(|row| row.remedy.as_deref()).collect();
            next.dedup();
            return Err(Failure::message(Code::Failed, text).hint(next.join("\n")));
        }
        if self.execute {
            self.ui.text(&report::table_without_reasons(rows));
        }
        if !self.execute {
            warn_of_drift(self.ui, rows, self.balance);
        }
        Ok(())
    }

    fn progress(&mut self, progress: &Progress) {
        self.bars.progress(progress);
    }

    fn ended(&mut self, row: &Row) {
        self.bars.ended(row);
    }
}

/// Reports layers whose version numbers differ between regions, and how to make the numbers equal.
pub(super) fn warn_of_drift(ui: &Ui, rows: &[Row], balance: Option<u16>) {
    for drift in version_balance::drift(rows) {
        let next = match balance {
            None => format!("--balance={} publishes again until they are equal", drift.width()),
            Some(_) if rows.iter().all(|row| row.done) => "--balance could not make them equal".to_owned(),
            Some(limit) => format!("--balance publishes up to {limit} times more until they are equal"),
        };
        ui.warning(format!("{drift}; {next}"));
    }
}
