//! Measures what `relay/relay` in the layer adds to a cold start, under RIE and with a native runtime. It must add
//! nothing that can be distinguished from noise.

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
/// The number of measurements. On a busy machine, the minima of more starts are needed.
const ROUNDS: usize = 4;
/// The largest allowed difference. If Sentry's Relay were started before the first `/next`, it would cost 1.5 ms. To
/// check whether its file exists costs microseconds.
const NOISE: Duration = Duration::from_millis(1);

/// Returns how long the init takes, until the runtime and the extension have asked for the first event.
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
    // RIE starts the init with the first invoke.
    rie.invoke(&json!({})).await;
    let report = rie.log.wait_for("INIT REPORT(durationMs: ", Duration::from_secs(5)).await;
    let took: f64 = report.rsplit("durationMs: ").next().unwrap().trim_end_matches(')').parse().unwrap();
    if with_relay {
        // This proves that Sentry's Relay was in the layer, and was started after the init.
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
                // Both kinds alternate, so that other load on the machine affects both.
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
