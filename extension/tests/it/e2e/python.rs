//! A Python function with a current SDK. The SDK has no `tunnel`, so the function rewrites its DSN to the extension's
//! port.

use crate::support::{case::Case, function::Function, netns::isolated, tools::Arch};
use serde_json::json;

async fn everything_arrives(arch: Arch, port: u16, ports: Option<&str>) {
    let mut function = Function::python("python", "test").env("EXTENSION_PORT", port.to_string());
    if let Some(ports) = ports {
        function = function.env("SENTRY_EXTENSION_PORTS", ports);
    }
    let mut case = Case::deploy(arch, function).await;
    case.invoke(json!({})).await;

    let event = case.arrives("event", "/exception/values/0/value").await;
    let agent = event.headers.get("user-agent").and_then(|agent| agent.to_str().ok());
    assert_eq!(agent, Some("sentry.python/2.75.0"));
    case.arrives("transaction", "/tags/marker").await;
    case.arrives("check_in", "/monitor_slug").await;
    case.arrives("log", "/items/0/body").await;
    case.finish().await;
}

#[test]
fn arrives_through_the_port_of_sentrys_node_extension() {
    isolated(|| everything_arrives(Arch::NATIVE, 9000, Some("9000")));
}

#[test]
fn arrives_through_the_port_of_earlier_layers() {
    isolated(|| everything_arrives(Arch::NATIVE, 5333, None));
}

#[test]
fn arrives_through_a_configured_port() {
    isolated(|| everything_arrives(Arch::NATIVE, 3000, Some("3000")));
}

#[test]
fn arrives_on_arm64() {
    isolated(|| everything_arrives(Arch::Arm64, 5333, None));
}
