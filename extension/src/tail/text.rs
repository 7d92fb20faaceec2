//! The lines of `--tail` for people: columns, and colours where there is a terminal.

use super::outcome::Outcome;
use super::subject::Subject;
use crate::log::Level;
use crate::protocol::timestamp;
use std::time::SystemTime;

/// The place of `10:03:04.512` in a time as `timestamp` writes it.
const CLOCK: std::ops::Range<usize> = 11..23;
const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;
const DIM: &str = "\x1b[2m";
const RESET: &str = "\x1b[0m";

/// Returns a line. The columns are in this order: time (UTC), kind, project, size, id, outcome.
pub(super) fn line(now: SystemTime, subject: &Subject, outcome: &Outcome, is_coloured: bool) -> String {
    let time = timestamp::format(now);
    let time = time.get(CLOCK).unwrap_or_default();
    let kind = printable(&subject.kind);
    let none = || "-".to_owned();
    let project = subject.project.map_or_else(none, |project| project.to_string());
    let size = subject.bytes.map_or_else(none, size);
    let id = subject.id.as_ref().map_or_else(none, ToString::to_string);
    let end = printable(&end(outcome));
    let columns = format!("{kind:<20} {project:>7} {size:>9} {id:<32}");
    if is_coloured {
        let colour = colour(outcome.level());
        format!("{DIM}{time}{RESET} {columns} {colour}{end}{RESET}\n")
    } else {
        format!("{time} {columns} {end}\n")
    }
}

/// The line that says that this number of lines were lost.
pub(super) fn lost_lines(count: u64) -> String {
    format!("{count} lines were lost here, because nobody read stdout in time\n")
}

fn end(outcome: &Outcome) -> String {
    let status = outcome.status.map(|status| format!(" {status}"));
    let took = outcome.took_ms.map(|took_ms| format!(" in {took_ms} ms"));
    let why = [outcome.reason, outcome.why.as_deref()].map(|why| why.map(|why| format!(": {why}")));
    [Some(outcome.word.to_owned()), status, took].into_iter().chain(why).flatten().collect()
}

fn colour(level: Level) -> &'static str {
    match level {
        Level::Error | Level::Off => "\x1b[31m",
        Level::Warn => "\x1b[33m",
        Level::Info => "\x1b[32m",
        Level::Debug => "\x1b[36m",
    }
}

/// Returns a size with one decimal, such as `1.2 KiB`.
fn size(bytes: usize) -> String {
    let in_units = |unit: usize| format!("{}.{}", bytes / unit, bytes % unit * 10 / unit);
    match bytes {
        0..KIB => format!("{bytes} B"),
        KIB..MIB => in_units(KIB) + " KiB",
        MIB.. => in_units(MIB) + " MiB",
    }
}

/// Replaces what would control a terminal: a client or an upstream has written some of these texts.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_one_decimal() {
        for (bytes, shown) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (1_048_575, "1023.9 KiB"),
            (1_048_576, "1.0 MiB"),
            (20_000_000, "19.0 MiB"),
        ] {
            assert_eq!(size(bytes), shown);
        }
    }

    #[test]
    fn no_text_controls_the_terminal() {
        let subject = Subject { kind: "event\x1b[2J".to_owned(), ..Subject::default() };
        let why = Some("a\u{9b}31m\nb".to_owned());
        let outcome = Outcome { word: "rejected", status: Some(403), why, ..Outcome::default() };
        let line = line(SystemTime::UNIX_EPOCH, &subject, &outcome, false);
        assert_eq!(line.chars().filter(|c| c.is_control()).count(), 1, "{line:?}");
        assert!(line.ends_with("rejected 403: a\u{fffd}31m\u{fffd}b\n"), "{line:?}");
    }
}
