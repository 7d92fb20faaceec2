//! Attacks what reads the journal of an earlier run.

#![allow(clippy::expect_used, clippy::indexing_slicing)]

use super::{JobState, earlier_runs::read};

/// A crash in the middle of a line never makes a publish that has begun look finished, and the journal of another
/// account changes nothing.
pub(crate) fn journal(data: &[u8]) {
    const ACCOUNT: &str = "123456789012";
    let whole = read(data, ACCOUNT);
    let lines: Vec<&[u8]> = data.split_inclusive(|byte| *byte == b'\n').collect();
    let open = |state: &JobState| {
        matches!(state, JobState::Publishing | JobState::Checking | JobState::Published | JobState::NotAsSent)
    };
    if let Some((last, before)) = lines.split_last() {
        let before = before.concat();
        // The line is cut off, and the next run goes on in a new line.
        let torn = [&before, &last[..last.len() / 2], b"\n"].concat();
        for (key, runs) in read(&before, ACCOUNT) {
            let now = read(&torn, ACCOUNT).remove(&key);
            let is_open = runs.last.is_some_and(|(state, _)| open(&state));
            assert!(!is_open || now.is_some(), "a publish that has begun is forgotten");
        }
    }
    let twice = [data, b"\n", data].concat();
    assert!(read(&twice, ACCOUNT).len() == whole.len());
    assert!(read(data, "another").keys().all(|key| !key.2.is_empty()));
}
