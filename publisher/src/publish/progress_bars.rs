//! Shows the progress of a run. A terminal has one line for each region and one bar for all. Other output has a line
//! for each layer that ended. Machines get a JSON event for every step.

use crate::{
    aws::partition::RegionName,
    model::variant::Variant,
    publish::{journal::JobState, progress::Progress, report::Row},
    ui::Ui,
};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use serde_json::json;
use std::collections::BTreeMap;

/// Shows the progress of one run.
pub(crate) struct ProgressBars {
    ui: Ui,
    total: usize,
    ended: usize,
    bars: Option<TerminalBars>,
}

struct TerminalBars {
    all: MultiProgress,
    regions: BTreeMap<RegionName, (ProgressBar, BTreeMap<Variant, String>)>,
    total: ProgressBar,
}

impl ProgressBars {
    /// `total` is the number of layers in all regions together.
    pub(crate) fn new(ui: &Ui, total: usize) -> Self {
        let bars = ui.bars().map(|all| {
            let style = ProgressStyle::with_template("{bar:40.green} {pos}/{len} {elapsed}");
            let bar = ProgressBar::new(total as u64)
                .with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
            let total = all.add(bar);
            total.tick();
            TerminalBars { all: all.clone(), regions: BTreeMap::new(), total }
        });
        Self { ui: ui.clone(), total, ended: 0, bars }
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
        self.show(region, variant, word(progress.state).to_owned());
    }

    /// Reports that a layer ended in a region, successfully or not.
    pub(crate) fn ended(&mut self, row: &Row) {
        self.ended += 1;
        self.ui.event(&json!({"event": "ended", "row": row, "ended": self.ended, "total": self.total}));
        let version = row.version.map(|version| format!(", version {version}")).unwrap_or_default();
        let what = match &row.error {
            Some(error) => error.clone(),
            None => format!("{}{version}", row.state()),
        };
        let verb = if row.error.is_some() { "Failed" } else { "Done" };
        if let Some(bars) = &self.bars {
            bars.total.inc(1);
            let state = if row.error.is_some() { format!("failed: {what}") } else { what };
            self.show(&row.region, row.variant, state);
        } else if !self.ui.json() {
            self.ui.status(verb, format!("{} {}: {what}", row.region, row.variant));
        }
    }

    fn show(&mut self, region: &RegionName, variant: Variant, state: String) {
        let Some(bars) = &mut self.bars else { return };
        // Regions are sorted by name, whatever the order of their events.
        let behind = bars.regions.range(region..).next().map(|(_, (bar, _))| bar);
        let next = behind.unwrap_or(&bars.total).clone();
        let (bar, states) = bars.regions.entry(region.clone()).or_insert_with(|| {
            let style = ProgressStyle::with_template("{msg}");
            let bar =
                ProgressBar::new_spinner().with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
            (bars.all.insert_before(&next, bar), BTreeMap::new())
        });
        states.insert(variant, state);
        let states: Vec<String> =
            states.iter().map(|(variant, state)| format!("{variant} {state:<24}")).collect();
        bar.set_message(format!("{region:<16} {}", states.join("  ")));
    }
}

impl Drop for ProgressBars {
    fn drop(&mut self) {
        if let Some(bars) = &self.bars {
            // The bars are removed, because the table that follows has the same information and stays on the screen.
            bars.regions.values().for_each(|(bar, _)| bar.finish_and_clear());
            bars.total.finish_and_clear();
        }
    }
}

fn word(state: JobState) -> &'static str {
    match state {
        JobState::Looking => "looking",
        JobState::Waiting => "waiting",
        JobState::Publishing => "publishing",
        JobState::Checking => "looking again",
        JobState::Refused => "refused",
        JobState::NotAsSent => "not as sent",
        JobState::Published => "published",
        JobState::Granting => "granting",
        JobState::Granted => "reading back",
        JobState::Done => "done",
        JobState::Failed => "failed",
    }
}
