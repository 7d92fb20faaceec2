//! Errors that a runtime writes as text: a first line, and the stack below it. Pure.

use super::Exception;
use super::frame::{Frame, Language};
use super::frames;

/// How many causes of a chain are kept.
const MOST_CAUSES: usize = 8;

/// Python: `ValueError: no`, the line `Traceback (most recent call last):`, and the stack. Outside of Lambda, and in
/// its emulators, a carriage return divides the lines, and no-break spaces indent them.
pub(super) fn of_python(text: &str) -> Option<Vec<Exception>> {
    const TRACEBACK: &str = "Traceback (most recent call last):";
    let text = text.replace('\r', "\n").replace('\u{a0}', " ");
    let at = text.find(TRACEBACK).filter(|at| *at > 0)?;
    let (head, stack) = (text.get(..at)?.trim_end(), text.get(at + TRACEBACK.len()..)?);
    let (kind, value) = head.split_once(": ").unwrap_or((head, ""));
    if !is_name(kind) {
        return None;
    }
    // A frame is a line with the place, and one with the code below it.
    let mut lines: Vec<String> = Vec::new();
    for line in stack.lines() {
        match lines.last_mut() {
            Some(last) if !line.trim_start().starts_with("File \"") => {
                last.push('\n');
                last.push_str(line);
            }
            _ => lines.push(line.to_owned()),
        }
    }
    let (_, frames) = frames::of_texts(lines.iter().map(String::as_str));
    Some(vec![Exception { kind: kind.to_owned(), value: value.to_owned(), frames }])
}

/// Java: `no: java.lang.IllegalStateException`, and in the next line the error as it prints itself.
pub(super) fn of_java(text: &str) -> Option<Vec<Exception>> {
    // The message may have several lines, so the line that repeats the type is looked for.
    let (mut head, mut rest) = text.split_once('\n')?;
    loop {
        let kind = head.rsplit_once(": ").map(|(_, kind)| kind);
        if let Some(kind) = kind.filter(|kind| is_name(kind)) {
            let behind = rest.strip_prefix(kind);
            if behind.is_some_and(|behind| behind.is_empty() || behind.starts_with([':', '\n', '\r'])) {
                return chain(rest, "Caused by: ", Language::Java);
            }
        }
        (head, rest) = rest.split_once('\n')?;
        if head.starts_with("\tat ") {
            return None;
        }
    }
}

/// .NET: the error as it prints itself. Inner errors come before the stack, behind an arrow.
pub(super) fn of_dotnet(text: &str) -> Option<Vec<Exception>> {
    let (kind, _) = text.split_once(':')?;
    let is_error = is_name(kind) && kind.contains('.') && text.contains("\n   at ");
    is_error.then(|| of_dotnet_text(text))?
}

/// The same, of which it is known already that it is an error.
pub(super) fn of_dotnet_text(text: &str) -> Option<Vec<Exception>> {
    // What is inner comes first in the stack and last in the heads: heads are read until the first frame, and each
    // "end of inner exception" begins the stack of the next one outwards.
    let mut heads: Vec<(String, String)> = Vec::new();
    let mut stacks: Vec<Vec<Frame>> = vec![Vec::new()];
    for line in text.lines().map(str::trim) {
        if let Some(frame) = Language::DotNet.frame(line).filter(|_| line.starts_with("at ")) {
            stacks.last_mut()?.push(frame);
        } else if line.starts_with("--- End of inner exception") {
            stacks.push(Vec::new());
        } else if heads.is_empty() || line.starts_with("---> ") {
            let line = line.strip_prefix("---> ").unwrap_or(line);
            let (kind, value) = line.split_once(": ").unwrap_or((line, ""));
            heads.push((kind.to_owned(), value.to_owned()));
        } else if stacks.len() == 1
            && stacks.last()?.is_empty()
            && let Some((_, value)) = heads.last_mut()
        {
            // A message of several lines.
            value.push('\n');
            value.push_str(line);
        }
    }
    let of = |((kind, value), mut frames): ((String, String), Vec<Frame>)| {
        frames.reverse();
        Exception { kind, value, frames }
    };
    let innermost_first = heads.into_iter().rev();
    Some(innermost_first.zip(stacks).map(of).collect()).filter(|all: &Vec<_>| !all.is_empty())
}

/// A chain in which each cause follows below the stack of its effect. Returns the innermost first.
fn chain(text: &str, separator: &str, language: Language) -> Option<Vec<Exception>> {
    let mut parts: Vec<(String, Vec<Frame>)> = Vec::new();
    for line in text.lines() {
        let line = line.trim_end();
        if let Some(head) = line.strip_prefix(separator) {
            parts.push((head.to_owned(), Vec::new()));
        } else if let Some(frame) = language.frame(line).filter(|_| line.starts_with("\tat ")) {
            parts.last_mut()?.1.push(frame);
        } else if line.starts_with('\t') {
            // `... 5 more`, and errors that were suppressed.
        } else if let Some((head, frames)) = parts.last_mut() {
            if frames.is_empty() {
                head.push('\n');
                head.push_str(line);
            }
        } else {
            parts.push((line.to_owned(), Vec::new()));
        }
    }
    parts.truncate(MOST_CAUSES);
    let of = |(head, mut frames): (String, Vec<Frame>)| {
        let (kind, value) = head.split_once(": ").unwrap_or((&head, ""));
        frames.reverse();
        Exception { kind: kind.to_owned(), value: value.to_owned(), frames }
    };
    Some(parts.into_iter().rev().map(of).collect())
}

/// Whether this can be the name of a type: letters, digits and what joins names.
pub(super) fn is_name(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 256
        && !text.starts_with(|c: char| c.is_ascii_digit())
        && text.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '.' | '$' | ':' | '+' | '`'))
}
