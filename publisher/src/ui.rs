//! The one owner of output: progress on stderr, results on stdout.

#![allow(clippy::print_stdout, clippy::print_stderr)]

use crate::failure::Failure;
use std::io::IsTerminal;

/// Where everything that a person or a pipeline reads goes through.
pub struct Ui {
    json: bool,
    colour: bool,
}

impl Ui {
    /// `json`: results are for machines.
    pub fn new(json: bool) -> Self {
        let colour = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        Self { json, colour }
    }

    /// Whether results are for machines: one JSON document on stdout instead of tables.
    pub fn json(&self) -> bool {
        self.json
    }

    /// One step of progress, in cargo's form: a right-aligned verb and what it is done to.
    pub fn status(&self, verb: &str, what: impl std::fmt::Display) {
        if self.colour {
            eprintln!("\x1b[1;32m{verb:>12}\x1b[0m {what}");
        } else {
            eprintln!("{verb:>12} {what}");
        }
    }

    /// Something that is not an error, but that the user should know.
    pub fn warning(&self, what: impl std::fmt::Display) {
        if self.colour {
            eprintln!("\x1b[1;33mwarning\x1b[0m: {what}");
        } else {
            eprintln!("warning: {what}");
        }
    }

    /// A result: a table, an ARN, a snippet.
    #[expect(clippy::unused_self, reason = "whoever prints has to hold the Ui")]
    pub fn result(&self, text: impl std::fmt::Display) {
        println!("{text}");
    }

    /// The last words of a command that failed.
    pub fn failure(&self, failure: &Failure) {
        if self.colour {
            eprintln!("\x1b[1;31merror\x1b[0m: {}", failure.text());
        } else {
            eprintln!("error: {}", failure.text());
        }
        if let Some(next) = failure.next() {
            for line in next.lines() {
                eprintln!("  {line}");
            }
        }
    }
}

/// Rows under a header, columns aligned; no borders, so that it can be cut and pasted.
pub fn table<const N: usize>(header: [&str; N], rows: impl IntoIterator<Item = [String; N]>) -> String {
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
