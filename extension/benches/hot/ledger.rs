//! Measures the counters that are updated for each envelope.

use criterion::{Criterion, Throughput};
use sentry_lambda_extension::relay::{DropReason, Ledger};
use std::hint::black_box;

pub(crate) fn count_envelope(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("ledger");
    group.throughput(Throughput::Elements(1));
    group.bench_function("accept, drop, check balance", |bench| {
        let mut ledger = Ledger::default();
        bench.iter(|| {
            ledger.accepted += 1;
            ledger.lose(black_box(DropReason::QueueOverflow), 1);
            ledger.balances(black_box(0))
        });
    });
    group.finish();
}
