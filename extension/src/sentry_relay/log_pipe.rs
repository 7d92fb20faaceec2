//! Writes the output of Sentry's Relay to our log, line by line. The lines are bounded in length and in number.

use crate::log;
use std::io::{self, PipeReader, Read as _};
use std::thread;

/// The most bytes of a line. The rest of the line is cut.
const MAX_LINE: usize = 1000;
/// The stack of the thread, in bytes. It only cuts lines.
const STACK: usize = 64 * 1024;
/// The most lines that are logged at `info` for one process. Further lines are logged at `debug`.
const MAX_INFO_LINES: usize = 100;

/// Starts a thread that logs the lines of the pipe until it is closed. It is not a task, because Sentry's Relay may
/// write faster than the relay's only thread has time for.
pub(super) fn follow(mut pipe: PipeReader) -> io::Result<()> {
    let log_until_end = move || {
        let (mut lines, mut chunk, mut lines_read) = (Lines::default(), [0; 1024], 0);
        loop {
            match pipe.read(&mut chunk) {
                Ok(0) => break,
                Ok(read) => {
                    lines.add(chunk.get(..read).unwrap_or_default(), |line| log_line(line, &mut lines_read));
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => break,
            }
        }
        lines.finish(|line| log_line(line, &mut lines_read));
    };
    thread::Builder::new()
        .name("sentry_relay_log".to_owned())
        .stack_size(STACK)
        .spawn(log_until_end)
        .map(drop)
}

fn log_line(line: &str, lines_read: &mut usize) {
    *lines_read += 1;
    let message = format!("relay: {line}");
    if *lines_read <= MAX_INFO_LINES { log::info(&message, &[]) } else { log::debug(&message, &[]) }
}

/// Collects bytes until they make a whole line.
#[derive(Debug, Default)]
struct Lines {
    line: Vec<u8>,
}

impl Lines {
    fn add(&mut self, bytes: &[u8], mut on_line: impl FnMut(&str)) {
        for &byte in bytes {
            if byte == b'\n' {
                self.finish(&mut on_line);
            } else if self.line.len() < MAX_LINE {
                self.line.push(byte);
            }
        }
    }

    fn finish(&mut self, mut on_line: impl FnMut(&str)) {
        let line = masked(&String::from_utf8_lossy(&self.line));
        self.line.clear();
        if !line.trim().is_empty() {
            on_line(line.trim_end());
        }
    }
}

/// Shortens everything that looks like a public key: 32 or more hexadecimal digits in a row.
fn masked(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut digits = 0;
    for c in text.chars() {
        digits = if c.is_ascii_hexdigit() { digits + 1 } else { 0 };
        match digits {
            32 => {
                shown.truncate(shown.len() - 23);
                shown.push('…');
            }
            33.. => {}
            _ => shown.push(c),
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_become_whole_lines_of_bounded_length() {
        let mut lines = Lines::default();
        let mut lines_read = Vec::new();
        for chunk in ["one\ntw", "o\n\n \nthree", &"x".repeat(5 * MAX_LINE), "\nfo\u{1}ur"] {
            lines.add(chunk.as_bytes(), |line| lines_read.push(line.to_owned()));
        }
        lines.finish(|line| lines_read.push(line.to_owned()));
        assert_eq!(lines_read.len(), 4);
        assert_eq!(
            (&*lines_read[0], &*lines_read[1], lines_read[2].len(), &*lines_read[3]),
            ("one", "two", MAX_LINE, "fo\u{1}ur")
        );
    }

    #[test]
    fn keys_are_masked() {
        let key = "a94ae32be2584e0bbd7a4cbb95971fee";
        assert_eq!(masked(&format!("of {key}: no")), "of a94ae32b…: no");
        assert_eq!(masked(&format!("{key}00")), "a94ae32b…");
        assert_eq!(masked("deadbeefdeadbeef ok"), "deadbeefdeadbeef ok");
    }
}
