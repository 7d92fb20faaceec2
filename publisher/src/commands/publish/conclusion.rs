//! The conclusion of a run of `publisher publish`: its result, and the next step for the user.

use crate::{
    commands::{
        common::account::{execute_command, same_command},
        publish::Publish,
    },
    failure::{Code, Failure},
    publish::{
        plan::Action,
        report::{self, Row},
    },
    ui::Ui,
};

impl Publish {
    /// Returns the result of the run. A failure has the exit code and a hint about the next step.
    pub(super) fn conclude(&self, ui: &Ui, rows: &[Row]) -> Result<(), Failure> {
        let not_as_sent: Vec<&Row> = rows.iter().filter(|row| row.not_as_sent).collect();
        let required: Vec<&Row> = rows.iter().filter(|row| row.required && row.error.is_some()).collect();
        let missing = report::reasons(required.iter().copied());
        for reason in report::reasons(rows.iter().filter(|row| !row.required && !row.not_as_sent)) {
            ui.warning(format!("optional and not done: {reason}"));
        }
        let nothing_to_do = !rows.is_empty() && rows.iter().all(|row| row.action == Some(Action::Adopt));
        let summary = if nothing_to_do && missing.is_empty() {
            "nothing to do".to_owned()
        } else {
            report::summary(rows)
        };
        ui.status(if self.act.execute { "Finished" } else { "Planned" }, summary);
        if !not_as_sent.is_empty() {
            let lines = report::reasons(not_as_sent.iter().copied());
            let text = format!(
                "AWS has other bytes than were sent; they are not granted, and not published again:\n  {}",
                lines.join("\n  ")
            );
            return Err(Failure::message(Code::Failed, text).hint(next_for(&not_as_sent)));
        }
        if !missing.is_empty() {
            let verb = if self.act.execute { "done" } else { "ready to be published" };
            let text =
                format!("{} required layers are not {verb}:\n  {}", missing.len(), missing.join("\n  "));
            return Err(Failure::message(Code::Incomplete, text).hint(next_for(&required)));
        }
        if !self.act.execute && !nothing_to_do {
            ui.status("Note", format!("nothing was written; to carry it out:  {}", execute_command()));
        }
        Ok(())
    }
}

/// The hint for failed rows. It lists each remedy once, and adds the command to repeat if repeating can help.
fn next_for(rows: &[&Row]) -> String {
    let mut next: Vec<&str> = Vec::new();
    for remedy in rows.iter().filter_map(|row| row.remedy.as_deref()) {
        if !next.contains(&remedy) {
            next.push(remedy);
        }
    }
    let again = same_command();
    let resume = if rows.iter().any(|row| row.remedy.is_none()) {
        format!("what is done stays done; run the same command again to resume:\n  {again}")
    } else if rows.iter().any(|row| row.not_as_sent) {
        "what is done stays done".to_owned()
    } else {
        format!("what is done stays done; after that change, this command resumes:\n  {again}")
    };
    next.push(&resume);
    next.join("\n")
}
