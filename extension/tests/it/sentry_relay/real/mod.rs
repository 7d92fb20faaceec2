//! Tests the real Sentry's Relay in the layer, as `ci/relay` builds it, with the configuration that the layer has.

mod emulator;
mod headers;
mod life;
mod managed;
mod otlp;
mod outages;
mod own_items;
mod volume;

use crate::relay::delivery_test::DeliveryTest;
use crate::support::{layer::Layer, tools};

/// The configuration in the layer.
const CONFIG: &str = include_str!("../../../../../publisher/relay-config.yml");
const READY: &str = "Sentry's Relay is ready";

/// Makes a layer with the program and the configuration that a released layer has.
fn layer() -> Layer {
    let layer = Layer::with(&std::fs::read(tools::sentry_relay()).unwrap(), 0o755);
    layer.configure(CONFIG);
    layer
}

/// Starts an environment, and waits until Sentry's Relay is ready in its first invocation.
async fn start(env: &[(&str, &str)]) -> (DeliveryTest, Layer) {
    let layer = layer();
    let mut test = DeliveryTest::start(env).await;
    test.invoke(&[]).await;
    test.log().wait_for(READY).await;
    (test, layer)
}

/// Returns the process id of Sentry's Relay.
fn process(test: &DeliveryTest) -> i32 {
    let extension = test.extension.pid();
    let children = std::fs::read_to_string(format!("/proc/{extension}/task/{extension}/children")).unwrap();
    children.split_whitespace().next().expect("Sentry's Relay does not run").parse().unwrap()
}
