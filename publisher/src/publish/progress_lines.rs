//! Formats the progress of a run for a terminal: first the total, then the failed regions and the active ones.
//!
//! A run has more regions than many terminals have lines. So regions that are waiting or finished are only counted,
//! and the lines are cut to the size of the terminal.

use crate::{aws::partition::RegionName, model::variant::Variant, publish::journal::JobState};
use std::{collections::BTreeMap, time::Duration};

/// The largest width of the bar, in columns.
const MAX_BAR_WIDTH: usize = 30;
/// The number of the terminal's lines that are left for earlier output.
const LINES_ABOVE: usize = 4;

/// The progress of all layers in all regions.
#[derive(Debug, Default)]
pub(crate) struct ProgressLines {
    total: usize,
    layers: BTreeMap<(RegionName, Variant), LayerState>,
}

#[derive(Debug)]
enum LayerState {
    At(JobState),
    Ended,
    Failed(String),
}

/// A terminal's size, in characters.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Size {
    pub(crate) lines: usize,
    pub(crate) columns: usize,
}

impl ProgressLines {
    /// `total` is the number of layers in all regions together.
    pub(crate) fn new(total: usize) -> Self {
        Self { total, layers: BTreeMap::new() }
    }

    /// Records that a layer has reached another state in a region.
    pub(crate) fn at(&mut self, region: &RegionName, variant: Variant, state: JobState) {
        self.layers.insert((region.clone(), variant), LayerState::At(state));
    }

    /// Records that a layer has ended in a region, successfully or not.
    pub(crate) fn ended(&mut self, region: &RegionName, variant: Variant, error: Option<&str>) {
        let state = error.map_or(LayerState::Ended, |error| LayerState::Failed(error.to_owned()));
        self.layers.insert((region.clone(), variant), state);
    }

    /// The lines to show. No line is wider than the terminal, and together they leave room above them.
    pub(crate) fn lines(&self, elapsed: Duration, notice: Option<&str>, size: Size) -> Vec<String> {
        let mut lines = vec![self.first_line(elapsed, size.columns)];
        lines.extend(notice.map(str::to_owned));
        let room = size.lines.saturating_sub(LINES_ABOVE + lines.len()).max(1);
        let (failed, working) = (self.failed(), self.working());
        let all = failed.len() + working.len();
        if all <= room {
            lines.extend(failed.into_iter().chain(working));
        } else {
            // One line shows the number of lines that are left out. Failures get at most half of the remaining lines.
            let listed = room - 1;
            let failed_listed = failed.len().min(listed.saturating_sub(working.len()).max(listed / 2));
            let shown = failed.into_iter().take(failed_listed).chain(working).take(listed);
            lines.extend(shown);
            lines.push(format!("… and {} more regions", all - listed));
        }
        lines.into_iter().map(|line| cut(&line, size.columns)).collect()
    }

    fn first_line(&self, elapsed: Duration, columns: usize) -> String {
        let count = |is: fn(&LayerState) -> bool| self.layers.values().filter(|state| is(state)).count();
        let ended = count(|state| !matches!(state, LayerState::At(_)));
        let failed = count(|state| matches!(state, LayerState::Failed(_)));
        let waiting = count(|state| matches!(state, LayerState::At(JobState::Waiting)));
        let width = MAX_BAR_WIDTH.min(columns / 4);
        let full = (width * ended).checked_div(self.total).unwrap_or(width).min(width);
        let mut parts = vec![format!("{ended}/{} layers", self.total), format!("{} s", elapsed.as_secs())];
        for (number, what) in [(failed, "failed"), (waiting, "waiting")] {
            if number > 0 {
                parts.push(format!("{number} {what}"));
            }
        }
        format!("{}{} {}", "█".repeat(full), "░".repeat(width - full), parts.join(", "))
    }

    fn failed(&self) -> Vec<String> {
        let line = |((region, variant), state): (&(RegionName, Variant), &LayerState)| match state {
            LayerState::Failed(why) => Some(format!("{region:<16} {variant} failed: {why}")),
            LayerState::At(_) | LayerState::Ended => None,
        };
        self.layers.iter().filter_map(line).collect()
    }

    fn working(&self) -> Vec<String> {
        let mut regions: BTreeMap<&RegionName, (bool, Vec<String>)> = BTreeMap::new();
        for ((region, variant), state) in &self.layers {
            if let LayerState::At(state) = state
                && *state != JobState::Waiting
            {
                let (only_looks, states) = regions.entry(region).or_insert_with(|| (true, Vec::new()));
                *only_looks &= *state == JobState::Looking;
                states.push(format!("{variant} {:<14}", word(*state)));
            }
        }
        // Regions that are only being inspected come last, because the others matter more if there is no room for all.
        let mut sorted: Vec<_> = regions.into_iter().collect();
        sorted.sort_by_key(|(_, (only_looks, _))| *only_looks);
        let line = |(region, (_, states)): (&RegionName, (bool, Vec<String>))| {
            format!("{region:<16} {}", states.join(" ")).trim_end().to_owned()
        };
        sorted.into_iter().map(line).collect()
    }
}

/// The line itself, or the part of it that fits and an ellipsis.
fn cut(line: &str, columns: usize) -> String {
    if line.chars().count() <= columns {
        return line.to_owned();
    }
    let kept: String = line.chars().take(columns.saturating_sub(1)).collect();
    format!("{}…", kept.trim_end())
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{arch::Arch, variant::LayerKind};

    fn region(number: usize) -> RegionName {
        format!("xx-test-{number}").parse().unwrap()
    }

    fn variant(arch: Arch) -> Variant {
        Variant::new(arch, LayerKind::Plain)
    }

    fn all(regions: usize, state: JobState) -> ProgressLines {
        let mut lines = ProgressLines::new(2 * regions);
        for number in 1..=regions {
            for arch in [Arch::Arm64, Arch::X86_64] {
                lines.at(&region(number), variant(arch), state);
            }
        }
        lines
    }

    const WIDE: Size = Size { lines: 30, columns: 100 };

    #[test]
    fn who_waits_and_who_is_done_is_counted_and_not_listed() {
        let mut lines = all(34, JobState::Waiting);
        assert_eq!(
            lines.lines(Duration::from_secs(3), None, WIDE),
            // The bar takes a quarter of the width.
            [format!("{} 0/68 layers, 3 s, 68 waiting", "░".repeat(25))]
        );
        lines.at(&region(2), variant(Arch::Arm64), JobState::Publishing);
        lines.ended(&region(1), variant(Arch::Arm64), None);
        lines.ended(&region(3), variant(Arch::X86_64), Some("no room"));
        let shown = lines.lines(Duration::from_secs(4), Some("stopping"), WIDE);
        assert!(shown[0].ends_with(" 2/68 layers, 4 s, 1 failed, 65 waiting"), "{shown:?}");
        assert_eq!(
            shown[1..],
            ["stopping", "xx-test-3        x86_64 failed: no room", "xx-test-2        arm64 publishing"]
        );
    }

    #[test]
    fn everything_fits_whatever_the_terminal() {
        for (lines, columns) in [(30, 100), (24, 60), (24, 20), (5, 60), (1, 1)] {
            let mut run = all(34, JobState::Publishing);
            for number in 1..=20 {
                run.ended(&region(number), variant(Arch::Arm64), Some(&"a long reason ".repeat(20)));
            }
            let shown = run.lines(Duration::ZERO, Some(&"a notice ".repeat(20)), Size { lines, columns });
            assert!(shown.iter().all(|line| line.chars().count() <= columns), "{shown:?}");
            assert!(shown.len() <= lines.saturating_sub(LINES_ABOVE).max(3), "{lines}: {shown:?}");
        }
        let shown = all(34, JobState::Publishing).lines(Duration::ZERO, None, WIDE);
        assert_eq!(shown.len(), 26);
        assert_eq!(shown[1], "xx-test-1        arm64 publishing     x86_64 publishing");
        assert_eq!(shown[25], "… and 10 more regions");
        assert!(cut("what is too long", 12) == "what is too…");
    }

    #[test]
    fn failures_do_not_hide_who_is_at_work() {
        let mut run = all(34, JobState::Publishing);
        for number in 1..=30 {
            run.ended(&region(number), variant(Arch::Arm64), Some("no"));
        }
        let shown = run.lines(Duration::ZERO, None, WIDE);
        let failed = shown.iter().filter(|line| line.contains("failed: no")).count();
        assert_eq!((failed, shown.len()), (12, 26));
    }
}
