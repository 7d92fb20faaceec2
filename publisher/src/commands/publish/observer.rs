//! What `publisher publish` says while it goes on.

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

/// What is said while it goes on.
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
            return Err(Failure::message(Code::Failed, text)
                .hint("make the buckets, or leave regions out with --exclude or --optional-regions"));
        }
        if self.execute {
            self.ui.text(&report::table_without_reasons(rows));
        }
        if !self.execute {
            tell_drift(self.ui, rows, self.balance);
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

/// Where numbers differ, and what would help.
pub(super) fn tell_drift(ui: &Ui, rows: &[Row], balance: Option<u16>) {
    for drift in version_balance::drift(rows) {
        let next = match balance {
            None => format!("--balance={} publishes again until they agree", drift.width()),
            Some(_) if rows.iter().all(|row| row.done) => {
                "--balance could not bring them together".to_owned()
            }
            Some(limit) => format!("--balance publishes up to {limit} times more until they agree"),
        };
        ui.warning(format!("{drift}; {next}"));
    }
}
