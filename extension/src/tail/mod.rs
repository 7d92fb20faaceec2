//! `--tail` prints what passes, one line each, for those who develop on their own machine: what it is, for which
//! project, how large, its id, and what became of it.
//!
//! The lines go to stdout by the writer of the log, so that a reader that is slow or gone never keeps the relay
//! waiting.

mod line;
mod outcome;
mod subject;
mod text;

use crate::cli::Tail;
use crate::config;
use crate::log;
use crate::relay::Relay;
use std::io::{IsTerminal as _, stdout};
use std::time::SystemTime;

/// How lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Style {
    Plain,
    Coloured,
    Json,
}

/// Prints what passes through this relay from now on. The log must go to stderr already.
pub fn follow(relay: &Relay, tail: Tail) {
    let style = style(tail, stdout().is_terminal(), config::variable);
    let lost_lines = if style == Style::Json { log::lost_lines } else { text::lost_lines };
    relay.observe(move |observed| log::print(&line::line(style, SystemTime::now(), observed), lost_lines));
}

/// Decides how lines look. Colours are for terminals that have them, and not for those who do not want them
/// (<https://no-color.org>).
fn style(tail: Tail, is_terminal: bool, variable: impl Fn(&str) -> Option<String>) -> Style {
    let is_set = |name| variable(name).is_some_and(|value| !value.is_empty());
    let is_dumb = || variable("TERM").is_some_and(|term| term == "dumb");
    match tail {
        Tail::Json => Style::Json,
        Tail::Text if is_terminal && !is_set("NO_COLOR") && !is_dumb() => Style::Coloured,
        Tail::Text => Style::Plain,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_are_for_terminals_that_have_them() {
        let with = |tail, is_terminal, set: &[(&str, &str)]| {
            style(tail, is_terminal, |name| {
                set.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
            })
        };
        assert_eq!(with(Tail::Text, true, &[]), Style::Coloured);
        assert_eq!(with(Tail::Text, true, &[("NO_COLOR", ""), ("TERM", "xterm")]), Style::Coloured);
        assert_eq!(with(Tail::Text, true, &[("NO_COLOR", "0")]), Style::Plain);
        assert_eq!(with(Tail::Text, true, &[("TERM", "dumb")]), Style::Plain);
        assert_eq!(with(Tail::Text, false, &[]), Style::Plain);
        assert_eq!(with(Tail::Json, true, &[]), Style::Json);
    }
}
