//! Measures what Sentry's Relay in the layer adds before the first `/next`. It must add nothing that can be
//! distinguished from noise.

use crate::support::{extension::Extension, lambda_api::LambdaApi, layer::Layer, netns::isolated};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use std::time::{Duration, Instant};

const STARTS: usize = 15;
/// The largest allowed difference. On a busy machine, a `fork` and reading the file of Sentry's Relay would take much
/// longer, and a `stat` takes much less.
const NOISE: Duration = Duration::from_millis(3);

/// Returns the time from `exec` to the first `/next`.
async fn cold_start(relay: &str) -> Duration {
    let api = LambdaApi::start().await;
    let begun = Instant::now();
    let settings = [
        ("SENTRY_EXTENSION_RELAY", relay),
        ("SENTRY_DSN", "http://5b0ff8a1e2c94d7fb7a3c1d2e4f60718@[::1]:9/1"),
    ];
    let extension = Extension::in_lambda(&api, &settings);
    let took = api.asked(1).await - begun;
    kill(Pid::from_raw(i32::try_from(extension.pid()).unwrap()), Signal::SIGKILL).unwrap();
    // The next extension needs the same ports.
    extension.ended(Duration::from_secs(5)).await;
    took
}

#[test]
fn a_layer_with_relay_starts_as_fast_as_one_without() {
    isolated(|| async {
        let _layer = Layer::stand_in(&["ok"], Duration::ZERO);
        let (mut with, mut without) = (Duration::MAX, Duration::MAX);
        for _ in 0..STARTS {
            // Both kinds alternate, so that other load on the machine affects both.
            without = without.min(cold_start("builtin").await);
            with = with.min(cold_start("process").await);
        }
        eprintln!("cold start: {with:?} with Relay in the layer, {without:?} with the built-in one");
        assert!(with < without + NOISE, "{with:?} against {without:?}");
    });
}
