//! What Relay writes becomes lines of our log, bounded in length and in number.

use crate::log;
use std::io;
use std::os::fd::OwnedFd;
use tokio::net::unix::pipe::Receiver;

/// Of a line; the rest is cut.
const LONGEST: usize = 1000;
/// Of one life and pipe; the rest is for `debug`.
const MOST: usize = 100;

/// Carries lines to the log until the pipe is closed.
pub(super) fn follow(pipe: OwnedFd) -> io::Result<()> {
    let pipe = Receiver::from_owned_fd(pipe)?;
    tokio::spawn(async move {
        let mut lines = Lines::default();
        let mut chunk = [0; 1024];
        let mut said = 0;
        while pipe.readable().await.is_ok() {
            match pipe.try_read(&mut chunk) {
                Ok(0) => break,
                Ok(read) => lines.take(chunk.get(..read).unwrap_or_default(), |line| say(line, &mut said)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(_) => break,
            }
        }
        lines.finish(|line| say(line, &mut said));
    });
    Ok(())
}

fn say(line: &str, said: &mut usize) {
    *said += 1;
    let message = format!("relay: {line}");
    if *said <= MOST { log::info(&message, &[]) } else { log::debug(&message, &[]) }
}

/// Bytes into lines.
#[derive(Debug, Default)]
struct Lines {
    line: Vec<u8>,
}

impl Lines {
    fn take(&mut self, bytes: &[u8], mut say: impl FnMut(&str)) {
        for &byte in bytes {
            if byte == b'\n' {
                self.finish(&mut say);
            } else if self.line.len() < LONGEST {
                self.line.push(byte);
            }
        }
    }

    fn finish(&mut self, mut say: impl FnMut(&str)) {
        let line = masked(&String::from_utf8_lossy(&self.line));
        self.line.clear();
        if !line.trim().is_empty() {
            say(line.trim_end());
        }
    }
}

/// What looks like a key is shortened.
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
    fn lines_are_whole_and_bounded() {
        let mut lines = Lines::default();
        let mut said = Vec::new();
        for chunk in ["one\ntw", "o\n\n \nthree", &"x".repeat(5 * LONGEST), "\nfo\u{1}ur"] {
            lines.take(chunk.as_bytes(), |line| said.push(line.to_owned()));
        }
        lines.finish(|line| said.push(line.to_owned()));
        assert_eq!(said.len(), 4);
        assert_eq!((&*said[0], &*said[1], said[2].len(), &*said[3]), ("one", "two", LONGEST, "fo\u{1}ur"));
    }

    #[test]
    fn keys_are_not_shown() {
        let key = "a94ae32be2584e0bbd7a4cbb95971fee";
        assert_eq!(masked(&format!("of {key}: no")), "of a94ae32b…: no");
        assert_eq!(masked(&format!("{key}00")), "a94ae32b…");
        assert_eq!(masked("deadbeefdeadbeef ok"), "deadbeefdeadbeef ok");
    }
}
