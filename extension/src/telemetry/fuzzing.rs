//! Attacks what reads telemetry.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    missing_docs
)]

use super::{DroppedRecords, FunctionRecord, Observer, Record, batch, invocation_log::InvocationLog};
use serde_json::Value;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

#[derive(Debug, Default)]
struct ObservedCalls {
    platform: Mutex<Vec<Record>>,
    functions: AtomicUsize,
    ends: AtomicUsize,
}

impl Observer for ObservedCalls {
    fn wants_function_records(&self) -> bool {
        true
    }

    fn platform(&self, records: Vec<Record>) {
        assert!(!records.is_empty());
        self.platform.lock().unwrap().extend(records);
    }

    fn function(&self, record: FunctionRecord<'_>) {
        let _ = record.output();
        self.functions.fetch_add(1, Ordering::Relaxed);
    }

    fn dropped(&self, _: DroppedRecords) {}

    fn unreadable(&self) {}

    fn batch_ended(&self) {
        self.ends.fetch_add(1, Ordering::Relaxed);
    }
}

/// A batch tells the same of the platform whether the function's lines are wanted or not, and no more records than it
/// has.
pub fn telemetry(data: &[u8]) {
    let (alone, _) = read_both(data);
    let mut log = InvocationLog::default();
    for record in &alone {
        log.add(&record.event);
    }
    // Two ways of reading need not agree on a batch that is broken, or that names a field twice.
    if let Ok(Value::Array(elements)) = serde_json::from_slice(data) {
        let plain = serde_json::to_vec(&elements).unwrap();
        let (alone, observed) = read_both(&plain);
        let platform = observed.platform.into_inner().unwrap();
        assert_eq!(platform, alone);
        assert!(platform.len() + observed.functions.into_inner() <= elements.len());
    }
}

fn read_both(body: &[u8]) -> (Vec<Record>, ObservedCalls) {
    let observed = ObservedCalls::default();
    let mut platform = Vec::new();
    batch::read(body, &mut |records| platform.extend_from_slice(records), &observed);
    assert_eq!(*observed.platform.lock().unwrap(), platform);
    assert_eq!(observed.ends.load(Ordering::Relaxed), 1);
    (Record::batch(body), observed)
}
