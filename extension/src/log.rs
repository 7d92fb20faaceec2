//! Writes one JSON object per line to stdout. Lambda copies it into the function's log group. With `--tail`, stdout is
//! for what passes, and the log goes to stderr.
//!
//! A line per envelope is written only at `debug`. Secrets cannot get into the log: the types that contain a key
//! (`PublicKey`, `Dsn`) print it masked, and no code passes the raw value of a setting as a field.

mod output;

use output::{STDERR, STDOUT};
use std::fmt::{Display, Write as _};
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The time that the end of the process may wait for a reader of stdout. After a drain in Lambda 150 ms are left.
const FLUSH_TIMEOUT: Duration = Duration::from_millis(100);

/// The levels of detail, from the least to the most detailed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Level {
    /// Nothing is logged.
    Off,
    /// Lines that report lost data or a failure of the extension itself.
    Error,
    /// Lines that report that something is not as the user configured it.
    Warn,
    /// Milestones: a few lines for each environment.
    Info,
    /// Lines for every envelope and every flush.
    Debug,
}

impl Level {
    /// Returns the level of that name in any case, as `SENTRY_EXTENSION_LOG` spells it, or `None` if there is none.
    pub fn parse(name: &str) -> Option<Self> {
        Some(match name.to_ascii_lowercase().as_str() {
            "off" => Self::Off,
            "error" => Self::Error,
            "warn" | "warning" => Self::Warn,
            "info" => Self::Info,
            "debug" => Self::Debug,
            _ => return None,
        })
    }

    fn name(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
        }
    }
}

static LEVEL: AtomicU8 = AtomicU8::new(Level::Info as u8);
static GOES_TO_STDERR: AtomicBool = AtomicBool::new(false);

/// Sets the most detailed level that the process logs.
pub fn set_level(level: Level) {
    LEVEL.store(level as u8, Ordering::Relaxed);
}

/// Writes the log to stderr from now on, because stdout is for something else.
pub fn go_to_stderr() {
    GOES_TO_STDERR.store(true, Ordering::Relaxed);
}

/// Whether a line of this level would be written. Callers ask before they compute expensive fields.
pub fn enabled(level: Level) -> bool {
    level as u8 <= LEVEL.load(Ordering::Relaxed)
}

/// The name and the value of a field of a log line. An integer that is not negative becomes a JSON number, every other
/// value a JSON string.
pub type Field<'a> = (&'a str, &'a dyn Display);

/// Logs lost data or a failure of the extension itself.
pub fn error(message: &str, fields: &[Field<'_>]) {
    write(Level::Error, message, fields);
}

/// Logs that something is not as the user configured it.
pub fn warn(message: &str, fields: &[Field<'_>]) {
    write(Level::Warn, message, fields);
}

/// Logs the same as [`warn`] without a thread, for a process that is about to become another program.
pub fn warn_directly(message: &str, fields: &[Field<'_>]) {
    if enabled(Level::Warn) {
        output::write_directly(&line(Level::Warn, SystemTime::now(), message, fields), FLUSH_TIMEOUT);
    }
}

/// Logs a milestone.
pub fn info(message: &str, fields: &[Field<'_>]) {
    write(Level::Info, message, fields);
}

/// Logs a detail, such as one envelope or one flush.
pub fn debug(message: &str, fields: &[Field<'_>]) {
    write(Level::Debug, message, fields);
}

/// Logs a line whose level depends on something.
pub fn write(level: Level, message: &str, fields: &[Field<'_>]) {
    if !enabled(level) {
        return;
    }
    let output = if GOES_TO_STDERR.load(Ordering::Relaxed) { &STDERR } else { &STDOUT };
    output.write(&line(level, SystemTime::now(), message, fields), level == Level::Debug, lost_lines);
}

/// Writes a line to stdout that is no log line, after `go_to_stderr`. The line is lost if too many wait. Once there is
/// room, `lost_line` makes a line that tells how many were lost.
pub(crate) fn print(line: &str, lost_line: fn(u64) -> String) {
    STDOUT.write(line, false, lost_line);
}

/// Waits a moment until all lines are written. Must be called before the process ends.
pub fn flush() {
    STDOUT.flush(FLUSH_TIMEOUT);
    STDERR.flush(FLUSH_TIMEOUT);
}

/// The line that says that this number of lines were lost.
pub(crate) fn lost_lines(count: u64) -> String {
    let message = "log lines were lost, because nobody read stdout in time";
    line(Level::Warn, SystemTime::now(), message, &[("lines", &count)])
}

/// Returns a line of the log.
pub(crate) fn line(level: Level, now: SystemTime, message: &str, fields: &[Field<'_>]) -> String {
    let now = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    let (seconds, milliseconds) = (now.as_secs(), now.subsec_millis());
    let mut line = String::with_capacity(160);
    // Writing to a String cannot fail, so the result is ignored.
    let _ = write!(line, r#"{{"ts":{seconds}.{milliseconds:03},"level":"{}","message":"#, level.name());
    push_string(&mut line, message);
    for (name, value) in fields {
        line.push(',');
        push_string(&mut line, name);
        line.push(':');
        push_value(&mut line, *value);
    }
    line.push_str("}\n");
    line
}

fn push_value(line: &mut String, value: &dyn Display) {
    let text = value.to_string();
    // `+` asks for a sign, which only numbers write, so text of digits stays text. A trait that tells the two apart
    // adds 2.7 KB to the binary, and a number that is logged without its wrapper would go unnoticed.
    let is_number = format!("{value:+}") != text && text.bytes().all(|byte| byte.is_ascii_digit());
    if is_number {
        line.push_str(&text);
    } else {
        push_string(line, &text);
    }
}

fn push_string(line: &mut String, text: &str) {
    line.push('"');
    for c in text.chars() {
        match c {
            '"' => line.push_str("\\\""),
            '\\' => line.push_str("\\\\"),
            '\n' => line.push_str("\\n"),
            c if c.is_control() => {
                let _ = write!(line, "\\u{:04x}", c as u32);
            }
            c => line.push(c),
        }
    }
    line.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_one_json_object_whatever_is_in_it() {
        let nasty = "quote \" backslash \\ newline \n bell \u{7} snowman \u{2603} del \u{7f}";
        let line = line(Level::Warn, UNIX_EPOCH, nasty, &[("field", &nasty)]);
        assert_eq!(line.matches('\n').count(), 1);
        let value: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(value["message"], nasty);
        assert_eq!(value["field"], nasty);
        assert_eq!(value["level"], "warn");
    }

    #[test]
    fn numbers_are_numbers_and_text_of_digits_is_text() {
        let json = |value: &dyn Display| {
            let line = line(Level::Info, UNIX_EPOCH, "message", &[("field", value)]);
            serde_json::from_str::<serde_json::Value>(&line).unwrap()["field"].take()
        };
        let numbers: [&dyn Display; 8] =
            [&0_u8, &1_u16, &2_u32, &3_u64, &4_u128, &5_usize, &6_i64, &&u64::MAX];
        for number in numbers {
            assert_eq!(json(number).as_u64().unwrap().to_string(), number.to_string());
        }
        let texts: [&dyn Display; 7] = [&"42", &"42".to_owned(), &'7', &"", &"+1", &true, &f64::INFINITY];
        for text in texts {
            assert_eq!(json(text), text.to_string());
        }
    }
}
