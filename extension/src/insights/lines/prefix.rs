//! The prefixes that the loggers of Lambda's runtimes write, at fixed columns. Pure.
//!
//! | Runtime | Prefix |
//! |---|---|
//! | Python | `[LEVEL]⇥TIME⇥REQUEST⇥` |
//! | Python's uncaught errors, Java's logger | `[LEVEL] ` |
//! | Node, .NET | `TIME⇥REQUEST⇥LEVEL⇥` |
//! | Java, log4j with the layout of AWS's documentation | `DATE TIME REQUEST LEVEL ` |
//! | Ruby | `I, [TIME #PID]  INFO REQUEST -- NAME: ` |
//! | Go, `log` and `slog` | `YYYY/MM/DD HH:MM:SS `, then `LEVEL ` by `slog` |
//! | Go, the text handler of `slog` | `time=TIME level=LEVEL ` |
//! | Rust, `tracing` | `TIME  LEVEL ` |

use crate::protocol::LogLevel;

/// A line, divided.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Prefix<'a> {
    pub(super) level: Option<LogLevel>,
    pub(super) request: Option<&'a str>,
    /// What the function has logged.
    pub(super) rest: &'a str,
}

/// Divides a line. Without a known prefix, all of it is the rest.
pub(super) fn read(text: &str) -> Prefix<'_> {
    let known = match text.as_bytes().first() {
        Some(b'[') => bracketed(text),
        Some(b'0'..=b'9') => timed(text),
        Some(b'D' | b'I' | b'W' | b'E' | b'F' | b'A') => of_ruby(text),
        Some(b't') => of_slog(text),
        _ => None,
    };
    known.unwrap_or(Prefix { rest: text, ..Prefix::default() })
}

fn bracketed(text: &str) -> Option<Prefix<'_>> {
    let (name, rest) = column(text.strip_prefix('[')?, b']')?;
    let level = Some(LogLevel::parse(name)?);
    if let Some(rest) = rest.strip_prefix(' ') {
        return Some(Prefix { level, request: None, rest });
    }
    let (time, rest) = column(rest.strip_prefix('\t')?, b'\t')?;
    let (id, rest) = column(rest, b'\t')?;
    is_time(time).then(|| Prefix { level, request: request(id), rest })
}

fn timed(text: &str) -> Option<Prefix<'_>> {
    // The first column ends within this, whatever it is.
    let head = text.as_bytes().get(..40).unwrap_or(text.as_bytes());
    match head.iter().position(|b| matches!(b, b'\t' | b' ')).and_then(|at| head.get(at)) {
        Some(b'\t') => of_node(text),
        Some(_) if head.get(4) == Some(&b'/') => of_go(text),
        Some(_) if head.get(10) == Some(&b'T') => of_tracing(text),
        Some(_) => of_log4j(text),
        None => None,
    }
}

fn of_node(text: &str) -> Option<Prefix<'_>> {
    let (time, rest) = column(text, b'\t')?;
    let (id, rest) = column(rest, b'\t')?;
    // .NET leaves the column out where a line has no level.
    let (name, behind) = column(rest, b'\t').unwrap_or((rest, ""));
    let level = LogLevel::parse(name);
    let rest = if level.is_some() { behind } else { rest };
    let is_known = is_time(time) && (level.is_some() || request(id).is_some());
    is_known.then(|| Prefix { level, request: request(id), rest })
}

fn of_go(text: &str) -> Option<Prefix<'_>> {
    let (time, rest) = text.split_at_checked("2026/11/25 10:00:00 ".len())?;
    let is_time = time.bytes().enumerate().all(|(at, b)| match at {
        4 | 7 => b == b'/',
        10 | 19 => b == b' ',
        13 | 16 => b == b':',
        _ => b.is_ascii_digit(),
    });
    let level = rest.split_once(' ').and_then(|(name, behind)| Some((capitals(name)?, behind)));
    let (level, rest) = level.map_or((None, rest), |(level, behind)| (Some(level), behind));
    is_time.then_some(Prefix { level, request: None, rest })
}

fn of_tracing(text: &str) -> Option<Prefix<'_>> {
    let (time, rest) = text.split_once(' ')?;
    let (name, rest) = rest.trim_start().split_once(' ')?;
    let level = Some(capitals(name)?);
    is_time(time).then_some(Prefix { level, request: None, rest })
}

fn of_log4j(text: &str) -> Option<Prefix<'_>> {
    let mut columns = text.splitn(5, ' ');
    let (date, _time, id, name) = (columns.next()?, columns.next()?, columns.next()?, columns.next()?);
    let level = Some(capitals(name)?);
    let request = Some(request(id)?);
    let is_date = date.len() == 10 && date.bytes().all(|b| b.is_ascii_digit() || b == b'-');
    is_date.then(|| Prefix { level, request, rest: columns.next().unwrap_or_default().trim_start() })
}

fn of_ruby(text: &str) -> Option<Prefix<'_>> {
    let rest = text.get(1..)?.strip_prefix(", [")?;
    let (_time, rest) = rest.split_once(']')?;
    let (name, rest) = rest.trim_start().split_once(' ')?;
    let (id, rest) =
        if let Some(rest) = rest.strip_prefix("-- ") { ("", rest) } else { rest.split_once(" -- ")? };
    // A logger without a name leaves only the colon.
    let rest = rest.strip_prefix(": ").unwrap_or(rest);
    (name == "ANY" || capitals(name).is_some()).then(|| Prefix {
        level: capitals(name),
        request: request(id),
        rest,
    })
}

/// The rest of `time=TIME level=LEVEL msg=…` is logged as it is.
fn of_slog(text: &str) -> Option<Prefix<'_>> {
    let (time, rest) = text.strip_prefix("time=")?.split_once(' ')?;
    let (name, rest) = rest.strip_prefix("level=")?.split_once(' ')?;
    let level = Some(capitals(name)?);
    (time.as_bytes().get(10) == Some(&b'T')).then_some(Prefix { level, request: None, rest })
}

/// Divides a text at an ASCII character, which belongs to neither part. Columns are short, so that looking at one byte
/// after the other is the quickest way.
fn column(text: &str, end: u8) -> Option<(&str, &str)> {
    let at = text.bytes().position(|byte| byte == end)?;
    Some((text.get(..at)?, text.get(at + 1..)?))
}

/// A level in capital letters, as loggers write it: a word of a sentence is none.
fn capitals(name: &str) -> Option<LogLevel> {
    LogLevel::parse(name).filter(|_| name.bytes().all(|b| b.is_ascii_uppercase()))
}

/// Whether this is a time in UTC like `2026-11-25T10:00:00.000Z`.
fn is_time(text: &str) -> bool {
    let bytes = text.as_bytes();
    (20..=30).contains(&bytes.len()) && bytes.get(10) == Some(&b'T') && bytes.last() == Some(&b'Z')
}

/// A request's id is a UUID. During init, loggers write nothing, or `undefined`.
fn request(id: &str) -> Option<&str> {
    let is_uuid = id.len() == 36
        && id.bytes().enumerate().all(|(at, b)| match at {
            8 | 13 | 18 | 23 => b == b'-',
            _ => b.is_ascii_hexdigit(),
        });
    is_uuid.then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "8442603f-da10-42d2-bf58-c33a31978aad";

    #[test]
    fn every_runtimes_prefix() {
        let (info, warn, error) = (Some(LogLevel::Info), Some(LogLevel::Warn), Some(LogLevel::Error));
        let id = Some(ID);
        for (line, level, request, rest) in [
            (&*format!("[INFO]\t2026-11-25T10:00:00.010Z\t{ID}\tone\ttwo"), info, id, "one\ttwo"),
            ("[WARNING]\t2026-11-25T10:00:00.010Z\t\tduring init", warn, None, "during init"),
            ("[ERROR] ValueError: no\nTraceback", error, None, "ValueError: no\nTraceback"),
            ("[INFO] of Java's logger", info, None, "of Java's logger"),
            (&format!("2026-11-25T10:00:00.010Z\t{ID}\tERROR\tcart"), error, id, "cart"),
            ("2026-11-25T10:00:00.010Z\tundefined\tINFO\tinit", info, None, "init"),
            (&format!("2026-11-25T10:00:00.010Z\t{ID}\tfail\tSystem.E"), error, id, "System.E"),
            (&format!("2026-11-25T10:00:00.010Z\t{ID}\tno level"), None, id, "no level"),
            (&format!("2026-11-25 10:00:00 {ID} INFO  orders:29 - cart"), info, id, "orders:29 - cart"),
            (&format!("I, [2026-11-25T10:00:00.123456 #8]  INFO {ID} -- : cart"), info, id, "cart"),
            ("W, [2026-11-25T10:00:00.123456 #8]  WARN -- orders: cart", warn, None, "orders: cart"),
            ("A, [2026-11-25T10:00:00.123456 #8]   ANY  -- : cart", None, None, "cart"),
            ("2026/11/25 10:00:00 cart", None, None, "cart"),
            ("2026/11/25 10:00:00 WARN cart items=3", warn, None, "cart items=3"),
            ("time=2026-11-25T10:00:00.010Z level=ERROR msg=\"a b\"", error, None, "msg=\"a b\""),
            ("2026-11-25T10:00:00.010000Z  INFO orders: cart", info, None, "orders: cart"),
            ("2026-11-25T10:00:00.010000Z ERROR orders: cart", error, None, "orders: cart"),
        ] {
            assert_eq!(read(line), Prefix { level, request, rest }, "{line}");
        }
    }

    #[test]
    fn what_only_looks_like_one() {
        for line in [
            "",
            "ERROR: no prefix",
            "I, for one",
            "Errors: []",
            "[not a level] text",
            "[INFO]text",
            "[INFO]\tno columns",
            "[INFO]\tx\ty\tz",
            "2026 was a year",
            "2026-11-25",
            "2026-11-25T10:00:00.010Z\tno\tcolumns of a runtime",
            "2026-11-25T10:00:00.010Z went well",
            "2026-11-25 10:00:00 no id ERROR text",
            "time flies",
            "time=now level=ERROR text",
            "20/20/2020 ä",
            "7",
            "ä",
        ] {
            assert_eq!(read(line), Prefix { rest: line, ..Prefix::default() }, "{line}");
        }
    }
}
