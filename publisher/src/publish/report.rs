//! The report about every layer in every region, for people and for machines.

use crate::{
    aws::{layers::LayerVersion, partition::RegionName, regions::Target},
    failure::chain,
    model::variant::Variant,
    publish::{job::RolloutError, plan::Action, plan::Inspection},
    ui,
};
use serde::Serialize;

const HEADER: [&str; 5] = ["region", "layer", "state", "version", ""];

/// One layer in one region.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Row {
    pub(crate) region: RegionName,
    #[serde(flatten)]
    pub(crate) variant: Variant,
    /// Whether the release is incomplete without this row.
    pub(crate) required: bool,
    /// The action that the layer needs or needed. It is unknown if the inspection failed.
    pub(crate) action: Option<Action>,
    /// Whether the action was carried out and the version read back.
    pub(crate) done: bool,
    /// The policy changes in words. Empty if there are none.
    pub(crate) changes: String,
    /// The number of the existing version. In a plan, the number that a new version would most likely get.
    pub(crate) version: Option<i64>,
    /// The ARN of the existing version.
    pub(crate) arn: Option<String>,
    /// An additional message for the user.
    pub(crate) note: Option<String>,
    /// Why the layer is not complete.
    pub(crate) error: Option<String>,
    /// What must change before the command can succeed. None if it may be enough to run the command again.
    pub(crate) remedy: Option<String>,
    /// The region does not run this architecture, so the layer is left out. The release is complete without it.
    pub(crate) left_out: bool,
    /// The version is not what was sent. This is an error even if the region is optional, and never just incomplete.
    #[serde(skip)]
    pub(crate) not_as_sent: bool,
    /// The error prevents the whole run from beginning, if the layer is required.
    #[serde(skip)]
    pub(crate) fatal: bool,
}

impl Row {
    /// A row without any result.
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
            remedy: None,
            left_out: false,
            not_as_sent: false,
            fatal: false,
        }
    }

    /// The row with the result of the inspection.
    #[must_use]
    pub(crate) fn planned(self, inspection: &Inspection) -> Self {
        let (number, arn) = inspection.found.as_ref().map(|found| (found.number, found.arn.clone())).unzip();
        let changes = inspection.repair.to_string();
        let note = inspection.note.clone();
        let version = number.or(Some(inspection.next));
        Self { action: Some(inspection.action), changes, version, arn, note, ..self }
    }

    /// The row with the version that was read back.
    #[must_use]
    pub(crate) fn done(self, version: LayerVersion, note: Option<String>) -> Self {
        let note = note.or_else(|| self.note.clone());
        let number = Some(version.number);
        let arn = Some(version.arn);
        Self { done: true, version: number, arn, note, error: None, ..self }
    }

    /// The row with an error message.
    #[must_use]
    pub(crate) fn failed(self, cause: &str) -> Self {
        // Some servers answer with whole HTML pages. Their text is joined into one line.
        let cause = cause.split_whitespace().collect::<Vec<_>>().join(" ");
        // A row without an ARN has only a predicted number. That number is dropped, because no version has it.
        let version = self.version.filter(|_| self.arn.is_some());
        Self { error: Some(cause), version, ..self }
    }

    /// The row with an error, its remedy, and whether it is fatal.
    #[must_use]
    pub(crate) fn failed_by(self, error: &RolloutError) -> Self {
        if matches!(error, RolloutError::NoArchitectures { .. }) {
            return Self { left_out: true, note: Some(chain(error)), version: None, ..self };
        }
        let not_as_sent =
            matches!(error, RolloutError::NotAsSent { .. } | RolloutError::RecordedNotAsSent(_));
        // These errors come from the user's own options, not from one region.
        let fatal = matches!(error, RolloutError::Bucket(_) | RolloutError::PolicyTooLong { .. });
        Self { remedy: error.remedy(), not_as_sent, fatal, ..self.failed(&chain(error)) }
    }

    /// The state in one or two words.
    pub(crate) fn state(&self) -> &'static str {
        if self.left_out {
            return "left out";
        }
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
        let [error, note] = [&self.error, &self.note].map(|text| text.as_deref().unwrap_or_default());
        let error = if with_reason { error } else { "" };
        let remarks = [optional, error, changes, note];
        let remarks: Vec<&str> = remarks.into_iter().filter(|part| !part.is_empty()).collect();
        [
            self.region.to_string(),
            self.variant.to_string(),
            self.state().to_owned(),
            version,
            remarks.join(": "),
        ]
    }
}

/// The reasons of the failed rows, one line for each.
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

/// The number of rows in each state. States that need an action come first.
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
        "left out",
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
    fn a_failed_row_is_one_line() {
        let target = Target { region: "eu-west-1".parse().unwrap(), required: true, disabled: None };
        let row =
            Row::new(&target, Variant::new(Arch::Arm64, LayerKind::Relay)).failed("HTTP 403:\n  <html>");
        assert_eq!(row.cells(true).join("|"), "eu-west-1|arm64 with Relay|failed||HTTP 403: <html>");
        assert_eq!(row.cells(false).join("|"), "eu-west-1|arm64 with Relay|failed||");
        assert_eq!(reasons([&row]), ["eu-west-1 arm64 with Relay: HTTP 403: <html>"]);
        assert_eq!(summary(&[row]), "1 failed");
    }
}
