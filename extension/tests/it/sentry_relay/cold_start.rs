//! What Relay in the layer costs before the first `/next`: one look whether it is there. Nothing is read, and nothing
//! is started. What that takes is for `ci/test` to say.

use crate::support::{extension::Extension, lambda_api::LambdaApi, layer::Layer, netns::isolated};
use std::{fs, time::Duration};

/// What a process has done so far, by the kernel's count.
#[derive(Debug, PartialEq, Eq)]
struct Done {
    /// Calls that read a file or a pipe, and what they brought.
    reads: String,
    bytes_read: String,
    threads: usize,
    children: String,
}

impl Done {
    fn by(process: u32) -> Self {
        let read = |name: &str| fs::read_to_string(format!("/proc/{process}/{name}")).unwrap();
        let io = read("io");
        let count =
            |name: &str| io.lines().find_map(|line| line.strip_prefix(name)).unwrap().trim().to_owned();
        let threads = fs::read_dir(format!("/proc/{process}/task")).unwrap().count();
        Self {
            reads: count("syscr:"),
            bytes_read: count("rchar:"),
            threads,
            children: read(&format!("task/{process}/children")),
        }
    }
}

/// What it has done when it registers for the second time, long before the first `/next`.
async fn before_next(relay: &str) -> Done {
    let api = LambdaApi::start().await;
    // The third attempt comes after a pause: the extension does nothing meanwhile.
    api.refuse(&[500, 500, 500]);
    let settings = [
        ("SENTRY_EXTENSION_RELAY", relay),
        ("SENTRY_DSN", "http://5b0ff8a1e2c94d7fb7a3c1d2e4f60718@[::1]:9/1"),
    ];
    let extension = Extension::in_lambda(&api, &settings);
    api.registration(2).await;
    Done::by(extension.pid())
}

#[test]
fn a_layer_with_relay_reads_and_starts_nothing_more_than_one_without() {
    isolated(|| async {
        let layer = Layer::stand_in(&["ok"], Duration::ZERO);
        let without = before_next("builtin").await;
        let with = before_next("process").await;
        assert_eq!(with, without);
        assert_eq!(with.children, "");
        assert_eq!(layer.story(), [""; 0]);
    });
}
