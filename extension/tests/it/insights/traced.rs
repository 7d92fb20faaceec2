//! Spans in the traces of Sentry's SDKs for Python and Node. The functions run beside the scripted Lambda: in AWS's own
//! runtime client for Python, and in a small one of these tests for Node.

use super::Environment;
use super::spans::{REQUEST, done, init, of_extension, op, report, start};
use crate::support::{
    lambda_api::Subscription, netns::isolated, runtime_api::RuntimeApi, sdk::KEY, sentry::Received, tools,
};
use serde_json::{Value, json};
use std::sync::Arc;
use tokio::process::Command;

/// A function in a process of its own, as Lambda starts it. It ends when it is dropped.
struct Running {
    api: RuntimeApi,
    _process: tokio::process::Child,
    _folder: tempfile::TempDir,
}

impl Running {
    async fn start(language: &str, lifecycle: &str, sample_rate: &str) -> Self {
        let api = RuntimeApi::start().await;
        let folder = tempfile::tempdir().unwrap();
        let task = tools::function(&format!("{language}-traces"));
        let mut command = if language == "python" {
            let mut command = Command::new("/usr/bin/python3");
            command.args(["-m", "awslambdaric", "app.handler"]);
            command.env("PYTHONPATH", tools::site_packages("test")).env("PYTHONDONTWRITEBYTECODE", "1");
            command.env("LAMBDA_TASK_ROOT", &task).current_dir(&task);
            command
        } else {
            // Node looks for packages in the folders above the file.
            std::os::unix::fs::symlink(tools::node_modules(), folder.path().join("node_modules")).unwrap();
            for file in ["index.mjs", "instrument.mjs"] {
                std::fs::copy(task.join(file), folder.path().join(file)).unwrap();
            }
            let mut command = Command::new(tools::program("node"));
            command.arg("--import").arg(folder.path().join("instrument.mjs"));
            command.arg(tools::function("node-runtime").join("bootstrap.mjs"));
            command.env("_HANDLER", "index.handler").env("LAMBDA_TASK_ROOT", folder.path());
            command
        };
        let process = command
            .env("AWS_LAMBDA_RUNTIME_API", api.address())
            .env("AWS_LAMBDA_FUNCTION_NAME", "orders")
            .env("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST")
            .env("AWS_LAMBDA_LOG_GROUP_NAME", "/aws/lambda/orders")
            .env("AWS_LAMBDA_LOG_STREAM_NAME", "stream")
            .env("AWS_REGION", "eu-central-1")
            .env("SENTRY_DSN", format!("http://{KEY}@127.0.0.1:5333/42"))
            .env("SENTRY_RELEASE", "shop@1")
            .env("LIFECYCLE", lifecycle)
            .env("SAMPLE_RATE", sample_rate)
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        Self { api, _process: process, _folder: folder }
    }
}

/// Runs the first invocation of a function, and returns everything that Sentry got. The counts balance.
async fn first_invocation(language: &str, lifecycle: &str, sample_rate: &str) -> Vec<Arc<Received>> {
    let mut environment = Environment::start(Subscription::Accepted, &[]).await;
    let mut function = Running::start(language, lifecycle, sample_rate).await;
    environment.api.post_telemetry(&init("on-demand")).await;
    environment.invoke(REQUEST).await;
    environment.api.post_telemetry(&json!([start(REQUEST)])).await;
    let (kind, response) = function.api.invoke(REQUEST, json!({ "cart": 4711 })).await;
    assert_eq!((&*kind, response), ("response", json!({ "cart": 4711 })), "{language}, {lifecycle}");
    environment.api.post_telemetry(&json!([done(REQUEST, "success")])).await;
    environment.api.post_telemetry(&json!([report(REQUEST)])).await;
    super::spans::ended(environment).await
}

/// The root span of the SDK, and the header of its envelope.
fn root(received: &[Arc<Received>]) -> (Value, Value) {
    for one in received {
        let header = Value::Object(one.envelope.header.clone());
        if header["sdk"]["name"] == "sentry.aws-lambda-extension" {
            continue;
        }
        if let Some(transaction) = one.envelope.item("transaction") {
            return (transaction.json()["contexts"]["trace"].clone(), header);
        }
        let spans = one.envelope.item("span").map(|item| item.json()["items"].as_array().unwrap().clone());
        let is_root = |span: &Value| span["is_segment"] == true;
        if let Some(root) = spans.into_iter().flatten().find(is_root) {
            return (root, header);
        }
    }
    panic!("the SDK has sent no root span: {received:#?}")
}

#[test]
fn init_and_overhead_are_under_the_root_span_in_both_forms() {
    isolated(|| async {
        for (language, lifecycle, form) in [
            ("python", "static", "transaction"),
            ("python", "stream", "span"),
            ("node", "static", "transaction"),
            ("node", "stream", "span"),
        ] {
            let received = first_invocation(language, lifecycle, "1.0").await;
            let (root, header) = root(&received);
            let of_sdk = received.iter().find(|one| one.envelope.header.get("trace") == header.get("trace"));
            assert!(of_sdk.unwrap().envelope.item(form).is_some(), "{language}: {lifecycle}");
            let containers = of_extension(&received);
            let spans: Vec<&Value> = containers.iter().flat_map(|(_, spans)| spans).collect();
            let ops: Vec<&str> = spans.iter().map(|span| op(span)).collect();
            assert_eq!(ops, ["function.aws.init", "function.aws.extensions"], "{language}: {lifecycle}");
            for (own, spans) in &containers {
                assert_eq!(own["trace"], header["trace"], "{language}: {lifecycle}");
                for span in spans {
                    assert_eq!(span["parent_span_id"], root["span_id"], "{language}: {lifecycle}");
                    assert_eq!(span["trace_id"], root["trace_id"], "{language}: {lifecycle}");
                }
            }
        }
    });
}

#[test]
fn a_trace_that_the_sdk_leaves_out_has_none() {
    isolated(|| async {
        for language in ["python", "node"] {
            for lifecycle in ["static", "stream"] {
                let received = first_invocation(language, lifecycle, "0.0").await;
                assert_eq!(of_extension(&received), [], "{language}: {lifecycle}");
            }
        }
    });
}
