//! What a person or a machine reads about every layer in every region.

use crate::{
    aws::{layers::LayerVersion, partition::RegionName, regions::Target},
    model::variant::Variant,
    publish::{plan::Action, plan::Inspection},
    ui,
};
use serde::Serialize;

const HEADER: [&str; 5] = ["region", "layer", "state", "version", ""];

/// One layer in one region.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Row {
    /// Where.
    pub(crate) region: RegionName,
    /// Which layer.
    #[serde(flatten)]
    pub(crate) variant: Variant,
    /// Whether the release is incomplete without it.
    pub(crate) required: bool,
    /// What it needs or needed; unknown where looking failed.
    pub(crate) action: Option<Action>,
    /// Whether the action was carried out and read back.
    pub(crate) done: bool,
    /// What is done to the policy, in words; empty where nothing is.
    pub(crate) changes: String,
    /// The version that is there; in a plan, the number that publishing would most likely get.
    pub(crate) version: Option<i64>,
    /// Its ARN.
    pub(crate) arn: Option<String>,
    /// What a person should know of beside it.
    pub(crate) note: Option<String>,
    /// Why it is not done.
    pub(crate) error: Option<String>,
    /// An error that keeps everything else from being begun.
    #[serde(skip)]
    pub(crate) fatal: bool,
}

impl Row {
    /// Nothing known yet.
    pub(crate) fn new(target: &Target, variant: Variant) -> Self {
        Self {
            region: target.region.clone(),
            variant,
            required: target.required,
            action: None,
            done: false,
            changes: String::new(),
            version: None,
            arn: None,
            note: None,
            error: None,
            fatal: false,
        }
    }

    /// Planned.
    #[must_use]
    pub(crate) fn planned(self, inspection: &Inspection) -> Self {
        let (number, arn) = inspection.found.as_ref().map(|found| (found.number, found.arn.clone())).unzip();
        let changes = inspection.repair.to_string();
        let note = inspection.note.clone();
        let version = number.or(Some(inspection.next));
        Self { action: Some(inspection.action), changes, version, arn, note, ..self }
    }

    /// Done.
    #[must_use]
    pub(crate) fn done(self, version: LayerVersion, note: Option<String>) -> Self {
        let note = note.or_else(|| self.note.clone());
        let number = Some(version.number);
        let arn = Some(version.arn);
        Self { done: true, version: number, arn, note, error: None, ..self }
    }

    /// Failed.
    #[must_use]
    pub(crate) fn failed(self, cause: &str) -> Self {
        // Some servers answer with whole pages.
        let cause = cause.split_whitespace().collect::<Vec<_>>().join(" ");
        // The number that publishing would have got is nobody's.
        let version = self.version.filter(|_| self.arn.is_some());
        Self { error: Some(cause), version, ..self }
    }

    /// The state in a word.
    pub(crate) fn state(&self) -> &'static str {
        match (&self.error, self.action, self.done) {
            (Some(_), _, _) => "failed",
            (None, None, _) => "no answer yet",
            (None, Some(Action::Publish), false) => "publish",
            (None, Some(Action::Publish), true) => "published",
            (None, Some(Action::Grant), false) => "grant missing",
            (None, Some(Action::Grant), true) => "granted",
            (None, Some(Action::Repair), false) => "grant wrong",
            (None, Some(Action::Repair), true) => "repaired",
            (None, Some(Action::Adopt), false) => "adopt",
            (None, Some(Action::Adopt), true) => "adopted",
        }
    }

    fn cells(&self, with_reason: bool) -> [String; 5] {
        let version = self.version.map(|number| number.to_string()).unwrap_or_default();
        let optional = if self.required { "" } else { "optional" };
        let changes = if self.error.is_none() { self.changes.as_str() } else { "" };
        let [error, beside] = [&self.error, &self.note].map(|text| text.as_deref().unwrap_or_default());
        let error = if with_reason { error } else { "" };
        let note = [optional, error, changes, beside];
        let note: Vec<&str> = note.into_iter().filter(|part| !part.is_empty()).collect();
        [self.region.to_string(), self.variant.to_string(), self.state().to_owned(), version, note.join(": ")]
    }
}

/// Why the rows that failed did, one a line.
pub(crate) fn reasons<'a>(rows: impl IntoIterator<Item = &'a Row>) -> Vec<String> {
    let reason = |row: &Row| Some(format!("{} {}: {}", row.region, row.variant, row.error.as_ref()?));
    rows.into_iter().filter_map(reason).collect()
}

/// The rows as a table.
pub(crate) fn table(rows: &[Row]) -> String {
    ui::table(HEADER, rows.iter().map(|row| row.cells(true)))
}

/// The same without the reasons of failures, for where those are said beside it.
pub(crate) fn table_without_reasons(rows: &[Row]) -> String {
    ui::table(HEADER, rows.iter().map(|row| row.cells(false)))
}

/// How many rows are in which state, most wanted first.
pub(crate) fn summary(rows: &[Row]) -> String {
    let states = [
        "publish",
        "grant missing",
        "grant wrong",
        "adopt",
        "published",
        "granted",
        "repaired",
        "adopted",
        "failed",
        "no answer yet",
    ];
    let counts = states.map(|state| (state, rows.iter().filter(|row| row.state() == state).count()));
    let parts: Vec<String> =
        counts.iter().filter(|(_, n)| *n > 0).map(|(state, n)| format!("{n} {state}")).collect();
    parts.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{arch::Arch, variant::LayerKind};

    #[test]
    fn a_failure_is_one_line_and_says_failed() {
        let target = Target { region: "eu-west-1".parse().unwrap(), required: true, disabled: None };
        let row =
            Row::new(&target, Variant::new(Arch::Arm64, LayerKind::Relay)).failed("HTTP 403:\n  <html>");
        assert_eq!(row.cells(true).join("|"), "eu-west-1|arm64 with Relay|failed||HTTP 403: <html>");
        assert_eq!(row.cells(false).join("|"), "eu-west-1|arm64 with Relay|failed||");
        assert_eq!(reasons([&row]), ["eu-west-1 arm64 with Relay: HTTP 403: <html>"]);
        assert_eq!(summary(&[row]), "1 failed");
    }
}
