//! Measures parsing the first line of an envelope and splitting an envelope into items.

use criterion::{BenchmarkId, Criterion, Throughput};
use sentry_lambda_extension::protocol::{ScanError, Scanned, Scanner};
use std::hint::black_box;

/// An envelope header with a trace, as an SDK sends it.
const HEADER: &str = concat!(
    r#"{"event_id":"9ec79c33ec9942ab8353589fcb2e04dc","sent_at":"2026-01-01T00:00:00.000Z","#,
    r#""dsn":"https://5b0ff8a1e2c94d7fb7a3c1d2e4f60718@o1.ingest.sentry.io/42","#,
    r#""sdk":{"name":"sentry.python","version":"2.75.0"},"#,
    r#""trace":{"trace_id":"771a43a4192642f0b136d5159a501700","public_key":"5b0ff8a1e2c94d7fb7a3c1d2e4f60718","#,
    r#""sample_rate":"1.0","environment":"production","release":"app@1.0.0","#,
    r#""transaction":"handler","sampled":"true"}}"#,
    "\n"
);

fn scan(envelope: &[u8]) -> Result<Scanned, ScanError> {
    let mut scanner = Scanner::new();
    scanner.feed(envelope)?;
    scanner.finish()
}

/// Builds an envelope with this many items of 5 KB. The item headers contain the lengths, as SDKs write them, or do
/// not.
fn envelope(items: usize, with_length: bool) -> Vec<u8> {
    let payload = format!("{{\"message\":\"{}\"}}", "x".repeat(5000));
    let length = if with_length { format!(",\"length\":{}", payload.len()) } else { String::new() };
    let item =
        format!("{{\"type\":\"attachment\"{length},\"content_type\":\"application/json\"}}\n{payload}\n");
    format!("{HEADER}{}", item.repeat(items)).into_bytes()
}

pub(crate) fn first_line(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("first line");
    group.throughput(Throughput::Bytes(HEADER.len() as u64));
    group.bench_function("parse", |bench| bench.iter(|| scan(black_box(HEADER.as_bytes()))));
    group.finish();
}

pub(crate) fn split(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("envelope split");
    for (name, with_length) in [("lengths", true), ("lines", false)] {
        for items in [1, 20] {
            let envelope = envelope(items, with_length);
            group.throughput(Throughput::Bytes(envelope.len() as u64));
            group.bench_with_input(BenchmarkId::new(name, items), &envelope, |bench, envelope| {
                bench.iter(|| scan(black_box(envelope)));
            });
        }
    }
    group.finish();
}
