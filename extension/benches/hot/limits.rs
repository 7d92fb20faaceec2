//! Measures the check of an envelope against upstream's rate limits.

use crate::KEY;
use criterion::{BenchmarkId, Criterion, Throughput};
use sentry_lambda_extension::config::PublicKey;
use sentry_lambda_extension::protocol::{Item, ItemKind};
use sentry_lambda_extension::relay::RateLimits;
use std::hint::black_box;
use std::time::SystemTime;

pub(crate) fn lookup(criterion: &mut Criterion) {
    let Some(key) = PublicKey::parse(KEY) else { return };
    let now = SystemTime::now();
    let items = [ItemKind::Event, ItemKind::Attachment].map(|kind| Item { kind, count: 1, bytes: 5000 });
    let mut group = criterion.benchmark_group("rate-limit lookup");
    group.throughput(Throughput::Elements(1));
    for count in [0, 1, 64] {
        let mut limits = RateLimits::default();
        for n in 0..count {
            limits.update(&key, &format!("60:transaction;span:key:reason{n}"), now);
        }
        group.bench_with_input(BenchmarkId::new("limits in force", count), &limits, |bench, limits| {
            bench.iter(|| limits.check(black_box(&key), black_box(&items), now));
        });
    }
    group.finish();
}
