//! `parse RECORD LINES BATCHES` parses batches of a function's records as Lambda posts them, and does nothing else. It
//! is what the instructions of a log line are compared with.

use serde_json::Value;
use std::hint::black_box;
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [record, lines, batches] = arguments.as_slice() else { return ExitCode::FAILURE };
    let (Ok(lines), Ok(batches)) = (lines.parse::<usize>(), batches.parse::<usize>()) else {
        return ExitCode::FAILURE;
    };
    let batch = bench_batch(record, lines);
    for _ in 0..batches {
        if serde_json::from_str::<Vec<Value>>(black_box(&batch)).is_err() {
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

/// The same batch as that of the experiment `logs`.
fn bench_batch(record: &str, lines: usize) -> String {
    let line = format!(r#"{{"time":"2026-01-01T00:00:00.000Z","type":"function","record":{record}}}"#);
    format!("[{}]", vec![line; lines].join(","))
}
