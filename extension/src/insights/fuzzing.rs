//! Attacks what reads the lines of the function.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    missing_docs
)]

use super::lines::Line;
use crate::telemetry::FunctionRecord;

/// What is read of a line is never more than its text, and a line means the same if Lambda sends it as a JSON string.
pub fn function_record(data: &[u8]) {
    let Ok(json) = std::str::from_utf8(data) else { return };
    let output = FunctionRecord { time: None, json }.output();
    if let Some(line) = Line::read(&output) {
        assert!(line.message.len() <= data.len().max(16));
    }
    let quoted = serde_json::to_string(json).unwrap();
    let output = FunctionRecord { time: None, json: &quoted }.output();
    let text = crate::telemetry::FunctionOutput::Text(json.into());
    assert_eq!(Line::read(&output), Line::read(&text));
}
