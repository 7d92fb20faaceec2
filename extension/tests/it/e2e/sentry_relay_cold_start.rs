//! What `relay/relay` in the layer costs a cold start, under RIE and with a native runtime: nothing that can be told from noise.

use crate::support::{
    function::Function,
    layer::{STAND_IN, Story},
    netns::isolated,
    rie::Rie,
    tools::Arch,
};
use serde_json::json;
use std::time::Duration;

const STARTS: usize = 15;
/// A machine that others work on has bad minutes: then the minima of more starts count.
const ROUNDS: usize = 4;
/// A Relay that is started before the first `/next` costs 1.5 ms; a look whether it is there, microseconds.
const NOISE: Duration = Duration::from_millis(1);

/// How long the init takes: until the runtime and the extension have asked for the first event.
async fn cold_start(with_relay: bool) -> Duration {
    let folder = tempfile::Builder::new().prefix("story-").tempdir().unwrap();
    let story = Story::within(folder.path());
    let mut function =
        Function::native().env("SENTRY_DSN", "http://5b0ff8a1e2c94d7fb7a3c1d2e4f60718@127.0.0.1:9/1");
    if with_relay {
        function = function.layered("relay/relay", 0o755, STAND_IN).layered(
            "relay/config.yml",
            0o644,
            story.configuration(&["ok"], Duration::ZERO),
        );
    }
    let mut rie = Rie::start(Arch::NATIVE, function).await;
    // RIE begins the init with it.
    rie.invoke(&json!({})).await;
    let report = rie.log.wait_for("INIT REPORT(durationMs: ", Duration::from_secs(5)).await;
    let took: f64 = report.rsplit("durationMs: ").next().unwrap().trim_end_matches(')').parse().unwrap();
    if with_relay {
        // It was there, and it was started: behind the init.
        story.event("started", 1).await;
    }
    rie.kill().await;
    Duration::from_secs_f64(took / 1000.0)
}

#[test]
fn a_layer_with_relay_starts_as_fast_as_one_without() {
    isolated(|| async {
        let (mut with, mut without) = (Duration::MAX, Duration::MAX);
        for _ in 0..ROUNDS {
            for _ in 0..STARTS {
                // In turns, so that what else the machine does hits both.
                without = without.min(cold_start(false).await);
                with = with.min(cold_start(true).await);
            }
            if with < without + NOISE {
                break;
            }
        }
        eprintln!("cold start in RIE: {with:?} with relay/relay in the layer, {without:?} without");
        assert!(with < without + NOISE, "{with:?} against {without:?}");
    });
}
