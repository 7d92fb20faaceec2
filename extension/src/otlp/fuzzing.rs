//! Attacks what reads OTLP.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    missing_docs
)]

use super::{Converter, Format, Message, Signal, count};
use crate::config::Function;
use crate::protocol::Scanner;
use std::time::SystemTime;

const MAX_BYTES: usize = 64 * 1024;

/// There are never more spans, logs or data points than bytes. What metrics are converted to is bounded, and it is what
/// its headers say. The first byte selects the encoding.
pub fn otlp(data: &[u8]) {
    let [format, body @ ..] = data else { return };
    let format = if format % 2 == 0 { Format::Protobuf } else { Format::Json };
    let Ok(message) = Message::new(format, body) else { return };
    for signal in [Signal::Traces, Signal::Logs] {
        if let Ok(count) = count(signal, message) {
            assert!(count as usize <= body.len());
        }
    }
    let mut converter = Converter::new(&Function::default(), SystemTime::UNIX_EPOCH);
    let Ok(done) = converter.convert(message, SystemTime::UNIX_EPOCH, MAX_BYTES) else { return };
    assert!(done.rejected <= body.len() as u64);
    assert_eq!(done.rejected == 0, done.why.is_empty());
    for container in &done.containers {
        let mut scanner = Scanner::new();
        scanner.feed(&container.envelope).expect("a container is an envelope");
        assert_eq!(scanner.finish().expect("a whole envelope").items, [container.item]);
        let payload = container.envelope.split(|b| *b == b'\n').nth(2).unwrap();
        let payload: serde_json::Value = serde_json::from_slice(payload).expect("JSON");
        let metrics = payload["items"].as_array().unwrap();
        assert_eq!(metrics.len(), container.item.count as usize);
        for metric in metrics {
            assert!(metric["value"].is_number() && !metric["name"].as_str().unwrap().is_empty(), "{metric}");
            assert_eq!(metric["trace_id"].as_str().unwrap().len(), 32, "{metric}");
        }
    }
    // Now all cumulative series are known.
    converter.convert(message, SystemTime::UNIX_EPOCH, MAX_BYTES).expect("it was valid before");
}
