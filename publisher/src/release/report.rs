//! What a person or a machine reads about every region and architecture.

use super::plan::Action;
use crate::{
    arch::Arch,
    aws::{layers::Version, partition::RegionName, regions::Target},
};
use serde::Serialize;

/// One region and architecture.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// Where.
    pub region: RegionName,
    /// Which layer.
    pub arch: Arch,
    /// Whether the release is incomplete without it.
    pub required: bool,
    /// What it needs or needed; unknown where looking failed.
    pub action: Option<Action>,
    /// Whether the action was carried out and read back.
    pub done: bool,
    /// The version that is there.
    pub version: Option<i64>,
    /// Its ARN.
    pub arn: Option<String>,
    /// Why it is not done.
    pub error: Option<String>,
}

impl Row {
    /// Nothing known yet.
    pub fn new(target: &Target, arch: Arch) -> Self {
        Self {
            region: target.region.clone(),
            arch,
            required: target.required,
            action: None,
            done: false,
            version: None,
            arn: None,
            error: None,
        }
    }

    /// Planned, or done.
    #[must_use]
    pub fn with(self, action: Action, done: bool, version: Option<Version>) -> Self {
        let (number, arn) = version.map(|version| (version.number, version.arn)).unzip();
        Self { action: Some(action), done, version: number, arn, ..self }
    }

    /// Failed.
    #[must_use]
    pub fn failed(self, cause: &str) -> Self {
        // Some servers answer with whole pages.
        let cause = cause.split_whitespace().collect::<Vec<_>>().join(" ");
        Self { error: Some(cause), ..self }
    }

    /// The state in a word.
    pub fn state(&self) -> &'static str {
        match (&self.error, self.action, self.done) {
            (Some(_), _, _) | (None, None, _) => "failed",
            (None, Some(Action::Publish), false) => "publish",
            (None, Some(Action::Publish), true) => "published",
            (None, Some(Action::Grant), false) => "grant missing",
            (None, Some(Action::Grant), true) => "granted",
            (None, Some(Action::Adopt), false) => "adopt",
            (None, Some(Action::Adopt), true) => "adopted",
        }
    }

    fn cells(&self) -> Vec<String> {
        let version = self.version.map(|number| number.to_string()).unwrap_or_default();
        let optional = if self.required { "" } else { "optional" };
        let note = [optional, self.error.as_deref().unwrap_or_default()];
        let note: Vec<&str> = note.into_iter().filter(|part| !part.is_empty()).collect();
        vec![
            self.region.to_string(),
            self.arch.to_string(),
            self.state().to_owned(),
            version,
            note.join(": "),
        ]
    }
}

/// The rows as a table.
pub fn table(rows: &[Row]) -> String {
    let head = ["region", "arch", "state", "version", ""].map(str::to_owned).to_vec();
    columns(std::iter::once(head).chain(rows.iter().map(Row::cells)))
}

/// How many rows are in which state, most wanted first.
pub fn summary(rows: &[Row]) -> String {
    let states = ["publish", "grant missing", "adopt", "published", "granted", "adopted", "failed"];
    let counts = states.map(|state| (state, rows.iter().filter(|row| row.state() == state).count()));
    let parts: Vec<String> =
        counts.iter().filter(|(_, n)| *n > 0).map(|(state, n)| format!("{n} {state}")).collect();
    parts.join(", ")
}

/// Lines with their columns aligned.
pub fn columns(lines: impl IntoIterator<Item = Vec<String>>) -> String {
    let lines: Vec<Vec<String>> = lines.into_iter().collect();
    let width = |column: usize| {
        lines.iter().filter_map(|line| line.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let render = |line: &Vec<String>| {
        let cells: Vec<String> =
            line.iter().enumerate().map(|(i, cell)| format!("{cell:width$}", width = width(i))).collect();
        cells.join("  ").trim_end().to_owned()
    };
    lines.iter().map(render).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let lines = [["a", "bb", "c"], ["aaa", "b", ""]].map(|line| line.map(str::to_owned).to_vec());
        assert_eq!(columns(lines), "a    bb  c\naaa  b");
    }

    #[test]
    fn a_failure_is_one_line_and_says_failed() {
        let target = Target { region: "eu-west-1".parse().unwrap(), required: true, disabled: None };
        let row = Row::new(&target, Arch::Arm64).failed("HTTP 403:\n  <html>");
        assert_eq!(row.cells().join("|"), "eu-west-1|arm64|failed||HTTP 403: <html>");
        assert_eq!(summary(&[row]), "1 failed");
    }
}
