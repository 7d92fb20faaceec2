//! A whole stack, from the lines or the list in which a runtime writes it. Pure.

use super::frame::{Frame, Language};
use serde_json::Value;

/// The frames that are kept of a longer stack: those nearest to the error.
const MOST: usize = 100;

/// Reads the frames of a list, and recognizes the language by the first of them. The outermost call comes first.
pub(super) fn of_list(stack: &[Value]) -> (Option<Language>, Vec<Frame>) {
    if stack.iter().any(Value::is_object) {
        let frames = stack.iter().filter_map(|frame| Frame::of_go(frame.as_object()?)).take(MOST);
        return (Some(Language::Go), reversed(frames.collect()));
    }
    of_texts(stack.iter().filter_map(Value::as_str))
}

/// Reads the frames among lines or list elements.
pub(super) fn of_texts<'a>(texts: impl Iterator<Item = &'a str> + Clone) -> (Option<Language>, Vec<Frame>) {
    let Some(language) = texts.clone().find_map(Language::of_frame) else {
        // A list of Java's frames has no `at`.
        let frames: Vec<Frame> = texts.filter_map(|text| Language::Java.frame(text)).take(MOST).collect();
        return ((!frames.is_empty()).then_some(Language::Java), reversed(frames));
    };
    let frames = texts.filter_map(|text| language.frame(text));
    if language == Language::Python {
        // The only one that writes the outermost call first.
        let mut frames: Vec<Frame> = frames.collect();
        frames.drain(..frames.len().saturating_sub(MOST));
        return (Some(language), frames);
    }
    (Some(language), reversed(frames.take(MOST).collect()))
}

fn reversed(mut frames: Vec<Frame>) -> Vec<Frame> {
    frames.reverse();
    frames
}
