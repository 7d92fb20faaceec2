//! Prints all output: progress to stderr, results to stdout. No other module prints.
//!
//! With `--json`, the result is one JSON document on stdout, and progress is one JSON object per line on stderr. Each
//! object has an `event` field; docs/publishing.md lists the events.
//!
//! Whoever reads may stop early, as `head` does. Nothing more is printed then, and the command goes on to its end: what
//! it has begun in AWS is not left half done. The macros of std for printing would panic instead.

use crate::failure::{Code, Failure};
use indicatif::MultiProgress;
use serde::Serialize;
use serde_json::json;
use std::{
    io::{self, IsTerminal, Write},
    sync::{Arc, Mutex, PoisonError},
};

/// Prints everything that a person or a pipeline reads.
#[derive(Clone)]
pub(crate) struct Ui {
    json: bool,
    colour: bool,
    bars: Option<MultiProgress>,
    notice: Arc<Mutex<Option<String>>>,
    unwritten: Arc<Mutex<Option<io::Error>>>,
}

impl Ui {
    /// With `json`, all output is for machines.
    pub(crate) fn new(json: bool) -> Self {
        let terminal = std::io::stderr().is_terminal();
        let colour = terminal && !json && std::env::var_os("NO_COLOR").is_none();
        Self {
            json,
            colour,
            bars: (terminal && !json).then(MultiProgress::new),
            notice: Arc::default(),
            unwritten: Arc::default(),
        }
    }

    /// Whether results are for machines: one JSON document on stdout instead of tables.
    pub(crate) fn json(&self) -> bool {
        self.json
    }

    /// Whether a person sees results and progress on the same terminal: what one of the two says, the other need not.
    #[expect(clippy::unused_self, reason = "the caller needs a Ui, so that all output goes through it")]
    pub(crate) fn results_are_seen(&self) -> bool {
        std::io::stdout().is_terminal() && std::io::stderr().is_terminal()
    }

    /// The progress bars, or `None` where they cannot be drawn: on anything but a terminal.
    pub(crate) fn bars(&self) -> Option<&MultiProgress> {
        self.bars.as_ref()
    }

    /// Prints one step of progress in cargo's format: a right-aligned verb and its object.
    pub(crate) fn status(&self, verb: &str, what: impl std::fmt::Display) {
        if self.json {
            self.event(&json!({"event": "status", "verb": verb, "text": what.to_string()}));
        } else if self.colour {
            self.line(&format!("\x1b[1;32m{verb:>12}\x1b[0m {what}"));
        } else {
            self.line(&format!("{verb:>12} {what}"));
        }
    }

    /// Prints something that is not an error but that the user should know.
    pub(crate) fn warning(&self, what: impl std::fmt::Display) {
        if self.json {
            self.event(&json!({"event": "warning", "text": what.to_string()}));
        } else if self.colour {
            self.line(&format!("\x1b[1;33mwarning\x1b[0m: {what}"));
        } else {
            self.line(&format!("warning: {what}"));
        }
    }

    /// Prints a warning that matters until the command ends: progress bars go on showing it.
    pub(crate) fn notice(&self, what: &str) {
        *self.notice.lock().unwrap_or_else(PoisonError::into_inner) = Some(what.to_owned());
        self.warning(what);
    }

    /// What bars go on showing.
    pub(crate) fn latest_notice(&self) -> Option<String> {
        self.notice.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Prints progress of several lines. It is for people, so `--json` leaves it out.
    pub(crate) fn text(&self, text: &str) {
        if !self.json {
            self.line(text);
        }
    }

    /// Prints one event for machines. Without `--json` it prints nothing.
    pub(crate) fn event(&self, event: &impl Serialize) {
        if self.json
            && let Ok(line) = serde_json::to_string(event)
        {
            progress(&line);
        }
    }

    /// Prints a result: a table, an ARN or a snippet.
    pub(crate) fn result(&self, text: impl std::fmt::Display) {
        if let Err(error) = writeln!(io::stdout(), "{text}")
            && error.kind() != io::ErrorKind::BrokenPipe
        {
            *self.unwritten.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
        }
    }

    /// Fails if a result could not be written although somebody waits for it: to a full disk, for example.
    pub(crate) fn written(&self) -> Result<(), Failure> {
        match self.unwritten.lock().unwrap_or_else(PoisonError::into_inner).take() {
            None => Ok(()),
            Some(error) => {
                let text = format!("cannot write the result: {error}");
                Err(Failure::message(Code::Failed, text)
                    .hint("everything else is done; the same command prints it again"))
            }
        }
    }

    /// Prints the error of a command that failed, and what to do next.
    pub(crate) fn failure(&self, failure: &Failure) {
        if self.json {
            let code = failure.exit_code();
            let text = failure.text();
            let next = failure.next();
            self.event(&json!({"event": "error", "code": code, "text": text, "next": next}));
            return;
        }
        if self.colour {
            self.line(&format!("\x1b[1;31merror\x1b[0m: {}", failure.text()));
        } else {
            self.line(&format!("error: {}", failure.text()));
        }
        for line in failure.next().into_iter().flat_map(str::lines) {
            self.line(&format!("  {line}"));
        }
    }

    fn line(&self, line: &str) {
        match &self.bars {
            Some(bars) => bars.suspend(|| progress(line)),
            None => progress(line),
        }
    }
}

/// Prints a line of progress. There is no place to tell of an error, and no command depends on its progress being read.
fn progress(line: &str) {
    let _unread = writeln!(io::stderr(), "{line}");
}

/// Formats rows under a header, with aligned columns. It has no borders, so that the text can be cut and pasted.
pub(crate) fn table<const N: usize>(
    header: [&str; N],
    rows: impl IntoIterator<Item = [String; N]>,
) -> String {
    let lines: Vec<[String; N]> = std::iter::once(header.map(str::to_owned)).chain(rows).collect();
    let mut widths = [0; N];
    for line in &lines {
        for (width, cell) in widths.iter_mut().zip(line) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let text = lines.iter().map(|line| {
        let cells = line.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    });
    text.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let row = ["aaa", "b", ""].map(str::to_owned);
        assert_eq!(table(["a", "bb", "c"], [row]), "a    bb  c\naaa  b");
    }
}
