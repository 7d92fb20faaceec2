//! One line of `--tail`: what passed, and what became of it.

use super::Style;
use super::outcome::Outcome;
use super::subject::Subject;
use super::text;
use crate::log;
use crate::relay::Observed;
use std::time::SystemTime;

/// Returns the line, with a newline at its end.
pub(super) fn line(style: Style, now: SystemTime, observed: Observed<'_>) -> String {
    let (subject, outcome) = (Subject::of(&observed), Outcome::of(&observed));
    if style == Style::Json {
        json(now, &subject, &outcome)
    } else {
        text::line(now, &subject, &outcome, style == Style::Coloured)
    }
}

/// The form is that of the log's lines, so that one reader reads both.
fn json(now: SystemTime, subject: &Subject, outcome: &Outcome) -> String {
    let mut fields: Vec<log::Field<'_>> = vec![("kind", &subject.kind)];
    if let Some(project) = &subject.project {
        fields.push(("project", project));
    }
    if let Some(bytes) = &subject.bytes {
        fields.push(("bytes", bytes));
    }
    if let Some(id) = &subject.id {
        fields.push(("id", id));
    }
    if let Some(status) = &outcome.status {
        fields.push(("status", status));
    }
    if let Some(took_ms) = &outcome.took_ms {
        fields.push(("ms", took_ms));
    }
    if let Some(reason) = &outcome.reason {
        fields.push(("reason", reason));
    }
    if let Some(why) = &outcome.why {
        fields.push(("why", why));
    }
    log::line(outcome.level(), now, outcome.word, &fields)
}

#[cfg(test)]
mod tests;
