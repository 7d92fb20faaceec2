//! What a person or a machine reads about every layer in every region.

use crate::{
    aws::{layers::LayerVersion, partition::RegionName, regions::Target},
    failure::chain,
    model::variant::Variant,
    publish::{job::RolloutError, plan::Action, plan::Inspection},
    ui,
};
use serde::Serialize;

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
    /// What has to change before it can be done; none where running the same command again may be enough.
    pub(crate) remedy: Option<String>,
    /// Left out, because the region does not run this architecture: the release is complete without it.
    pub(crate) left_out: bool,
    /// What is there is not what was sent: no region's trouble, and never just incomplete.
    #[serde(skip)]
    pub(crate) not_as_sent: bool,
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
            remedy: None,
            left_out: false,
            not_as_sent: false,
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

    /// Failed, and what there is to say of the error beside its text.
    #[must_use]
    pub(crate) fn failed_by(self, error: &RolloutError) -> Self {
        if matches!(error, RolloutError::NoArchitectures { .. }) {
            return Self { left_out: true, note: Some(chain(error)), version: None, ..self };
        }
        let not_as_sent = matches!(error, RolloutError::NotAsSent { .. } | RolloutError::Refuted(_));
        // A mistake in what was asked for, rather than a region's trouble.
        let fatal = matches!(error, RolloutError::Bucket(_) | RolloutError::PolicyTooLong { .. });
        Self { remedy: error.remedy(), not_as_sent, fatal, ..self.failed(&chain(error)) }
    }

    /// The state in a word.
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

    fn cells(&self) -> [String; 5] {
        let version = self.version.map(|number| number.to_string()).unwrap_or_default();
        let optional = if self.required { "" } else { "optional" };
        let changes = if self.error.is_none() { self.changes.as_str() } else { "" };
        let [error, beside] = [&self.error, &self.note].map(|text| text.as_deref().unwrap_or_default());
        let note = [optional, error, changes, beside];
        let note: Vec<&str> = note.into_iter().filter(|part| !part.is_empty()).collect();
        [self.region.to_string(), self.variant.to_string(), self.state().to_owned(), version, note.join(": ")]
    }
}

/// The rows as a table.
pub(crate) fn table(rows: &[Row]) -> String {
    ui::table(["region", "layer", "state", "version", ""], rows.iter().map(Row::cells))
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
    fn a_failure_is_one_line_and_says_failed() {
        let target = Target { region: "eu-west-1".parse().unwrap(), required: true, disabled: None };
        let row =
            Row::new(&target, Variant::new(Arch::Arm64, LayerKind::Relay)).failed("HTTP 403:\n  <html>");
        assert_eq!(row.cells().join("|"), "eu-west-1|arm64 with Relay|failed||HTTP 403: <html>");
        assert_eq!(summary(&[row]), "1 failed");
    }
}
