//! Tests the real Sentry's Relay, if the variable `RELAY_BINARY` names its file.

use super::{SECOND, logs};
use crate::flush::{Environment, report};
use crate::support::{lambda_api::Subscription, layer::Layer, netns::isolated};
use std::io::Write;

/// The settings that the flush barrier needs. The layer's own configuration has more.
const CONFIG: &str = "\
limits: {max_thread_count: 1, max_concurrent_requests: 1}
http: {timeout: 2, connection_timeout: 1, max_retry_interval: 1, outage_grace_period: 3600}
aggregator: {initial_delay: 0}
metrics: {periodic_secs: 0}
health: {max_memory_percent: 1.0}
logging: {level: warn}
";

#[test]
fn a_real_relay_delivers() {
    let Some(binary) = std::env::var_os("RELAY_BINARY") else {
        // This bypasses the test runner, which hides the output of a test that passes.
        let why = "NOT RUN: a_real_relay_delivers takes a Relay; name its file in RELAY_BINARY";
        writeln!(std::io::stderr(), "{why}").unwrap();
        return;
    };
    isolated(move || async move {
        let layer = Layer::with(&std::fs::read(binary).unwrap(), 0o755);
        layer.configure(CONFIG);
        let settings = [("SENTRY_EXTENSION_RELAY", "process")];
        let mut environment = Environment::start_with("end", Subscription::Accepted, &settings).await;
        logs(&environment.extension, "Sentry's Relay is ready").await;
        let request = environment.run().await;
        for n in 0..20 {
            report(&n.to_string()).await;
        }
        environment.api.done(&request).await;
        environment.released().await;
        assert_eq!(environment.sentry.received().len(), 20);
        environment.api.shutdown("spindown", 2 * SECOND);
        assert_eq!(environment.extension.final_counts().await, [20, 20, 0, 0]);
    });
}
