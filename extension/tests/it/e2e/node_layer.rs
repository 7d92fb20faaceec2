//! Tests a function that has this layer and Sentry's Node layer, with the extension that the Node layer brings. The
//! function has to respond, and its events have to arrive through this extension.

use crate::support::{
    case::Case,
    function::Function,
    netns::isolated,
    tools::{self, Arch},
};
use serde_json::{Value, json};
use std::fs;

/// Makes a function that has both layers.
fn with_both_layers() -> Function {
    let theirs = tools::node_modules().join("@sentry/aws-serverless/build/lambda-extension");
    let file = |name| fs::read(theirs.join(name)).expect("the package has no extension");
    Function::node("node-layer")
        .layered("extensions/sentry-extension", 0o755, file("sentry-extension"))
        .layered("sentry-extension/index.mjs", 0o755, file("index.mjs"))
        // The extension of the Node layer looks for Node in the PATH.
        .env("PATH", "/mnt/bin:/usr/local/bin:/usr/bin:/bin:/opt/bin")
}

async fn arrives_through_this_extension(function: Function) {
    let mut case = Case::deploy(Arch::NATIVE, function).await;
    for _ in 0..3 {
        case.invoke(json!({})).await;
    }
    case.arrives("event", "/exception/values/0/value").await;
    case.rie.terminate();
    let counts = case.rie.log.wait_for(r#""message":"envelopes""#).await;
    let log = case.rie.log.clone();
    // The extension of the Node layer does not end at SHUTDOWN, so RIE would wait for it in vain.
    drop(case);
    assert!(log.contains("External agent sentry-extension ("), "theirs did not run:\n{}", log.text());
    let counts: Value = serde_json::from_str(&counts).unwrap();
    assert!(counts["accepted"].as_u64().unwrap() >= 3, "{}", log.text());
    assert_eq!(counts["accepted"], counts["delivered"], "{}", log.text());
}

#[test]
fn with_the_wrapper() {
    isolated(|| arrives_through_this_extension(with_both_layers().wrapped()));
}
