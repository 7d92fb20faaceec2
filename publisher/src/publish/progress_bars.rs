//! Shows the progress of a run. A terminal shows the lines of `progress_lines`. Other output has a line for each layer
//! that has ended. With `--json`, there is an event for every step.

use crate::{
    publish::{
        progress::Progress,
        progress_lines::{ProgressLines, Size},
        report::Row,
    },
    ui::Ui,
};
use indicatif::{ProgressBar, ProgressState, ProgressStyle};
use serde_json::json;
use std::{
    fmt::Write,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

/// How often the lines are drawn when nothing happens, because of the clock and of changes of the window's size.
const REDRAW_INTERVAL: Duration = Duration::from_millis(250);

/// Shows the progress of one run.
pub(crate) struct ProgressBars {
    ui: Ui,
    total: usize,
    ended: usize,
    terminal: Option<Terminal>,
}

struct Terminal {
    lines: Arc<Mutex<ProgressLines>>,
    bar: ProgressBar,
}

impl ProgressBars {
    /// `total` is the number of layers in all regions together.
    pub(crate) fn new(ui: &Ui, total: usize) -> Self {
        let terminal = ui.bars().map(|all| {
            let lines = Arc::new(Mutex::new(ProgressLines::new(total)));
            // The size of the terminal is read again for each drawing.
            let (shown, notices) = (Arc::clone(&lines), ui.clone());
            let draw = move |state: &ProgressState, out: &mut dyn Write| {
                let (height, width) = console::Term::stderr().size();
                let size = Size { lines: usize::from(height), columns: usize::from(width) };
                let shown = shown.lock().unwrap_or_else(PoisonError::into_inner);
                let text = shown.lines(state.elapsed(), notices.latest_notice().as_deref(), size).join("\n");
                // An error of the terminal cannot be reported anywhere, so it is ignored.
                let _ = out.write_str(&text);
            };
            let style = ProgressStyle::with_template("{lines}");
            let style = style.unwrap_or_else(|_| ProgressStyle::default_bar()).with_key("lines", draw);
            let bar = all.add(ProgressBar::new(total as u64).with_style(style));
            bar.enable_steady_tick(REDRAW_INTERVAL);
            Terminal { lines, bar }
        });
        Self { ui: ui.clone(), total, ended: 0, terminal }
    }

    /// Reports that a layer reached another state in a region.
    pub(crate) fn progress(&mut self, progress: &Progress) {
        let region = &progress.region;
        let variant = progress.variant;
        let version = progress.version;
        self.ui.event(&json!({
            "event": "state", "region": region, "arch": variant.arch, "kind": variant.kind,
            "state": progress.state, "version": version
        }));
        self.show(|lines| lines.at(region, variant, progress.state));
    }

    /// Reports that a layer ended in a region, successfully or not.
    pub(crate) fn ended(&mut self, row: &Row) {
        self.ended += 1;
        self.ui.event(&json!({"event": "ended", "row": row, "ended": self.ended, "total": self.total}));
        if self.terminal.is_some() {
            self.show(|lines| lines.ended(&row.region, row.variant, row.error.as_deref()));
        } else if !self.ui.json() {
            let version = row.version.map(|version| format!(", version {version}")).unwrap_or_default();
            let verb = if row.error.is_some() { "Failed" } else { "Done" };
            // The reasons of failures are reported at the end of the run.
            self.ui.status(verb, format!("{} {}: {}{version}", row.region, row.variant, row.state()));
        }
    }

    fn show(&self, change: impl FnOnce(&mut ProgressLines)) {
        if let Some(terminal) = &self.terminal {
            change(&mut terminal.lines.lock().unwrap_or_else(PoisonError::into_inner));
            // `tick` does nothing while the bar ticks by itself. This call draws at once, within the limit of frames
            // per second.
            terminal.bar.set_message("");
        }
    }
}

impl Drop for ProgressBars {
    fn drop(&mut self) {
        if let Some(terminal) = &self.terminal {
            // The lines are removed, because the table that follows has the same information and stays on the screen.
            terminal.bar.finish_and_clear();
        }
    }
}
