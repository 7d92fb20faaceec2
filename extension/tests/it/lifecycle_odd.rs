//! Unusual environments and faults of the extension itself. None of them may disturb the function.

use crate::support::{
    HANG,
    extension::{BINARY, Extension},
    lambda_api::{LambdaApi, Next, Subscription},
    netns::isolated,
    scripted_upstream::ScriptedUpstream,
    sdk::{KEY, TUNNEL, report},
    tools,
};
use sentry_lambda_extension::{
    config::{Config, Overrides},
    lifecycle::{ExtensionName, Lifecycle, RuntimeApi},
    relay::Relay,
    task,
};
use serde_json::json;
use std::{
    net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener},
    sync::Arc,
    time::Duration,
};
use tokio::sync::Notify;

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test]
async fn a_panic_in_the_lifecycle_ends_neither_the_process_nor_the_registration() {
    let api = LambdaApi::start().await;
    api.telemetry(Subscription::Accepted);
    let (config, _) = Config::read(|_| None, Overrides::default());
    let relay = Relay::start(&config);
    let life =
        Arc::new(Lifecycle::new(RuntimeApi(api.address()), ExtensionName("unit".to_owned()), &config, None));
    let panic = Arc::new(Notify::new());
    let injected = Arc::clone(&panic);
    let living = tokio::spawn(task::restart_on_panic("lifecycle", move || {
        let (life, relay, injected) = (Arc::clone(&life), relay.clone(), Arc::clone(&injected));
        async move {
            tokio::select! {
                () = life.run(relay) => {}
                () = injected.notified() => panic!("injected"),
            }
        }
    }));
    // Panics once while it waits for an event, and once while it holds one.
    api.asked(1).await;
    panic.notify_one();
    api.asked(2).await;
    api.started("request-1").await;
    api.invoke_as("request-1", 3 * SECOND);
    panic.notify_one();
    api.asked(3).await;
    api.shutdown("spindown", 2 * SECOND);
    tokio::time::timeout(HANG, living).await.expect("not ended by SHUTDOWN").unwrap();
    assert_eq!(api.registrations_so_far(), 1, "an id is given once");
    assert!(api.violations().is_empty(), "another id, or a late subscription: {:?}", api.violations());
}

/// Runs the binary through a shell script, which finds it as `$0`. It is the extension of a function that reports an
/// error. The error has to arrive, and the extension has to end in time.
async fn works_with(script: &str) -> Extension {
    let api = LambdaApi::start().await;
    let upstream = ScriptedUpstream::start(false).await;
    let (address, dsn) = (api.address(), upstream.dsn("127.0.0.1", KEY));
    let env =
        [("AWS_LAMBDA_RUNTIME_API", &*address), ("SENTRY_DSN", &*dsn), ("PATH", "/usr/bin:/bin:/usr/sbin")];
    let shell = tools::program("bash");
    let mut extension = Extension::start(shell, &["-o", "pipefail", "-c", script, BINARY], &env);
    for nth in 1..=3 {
        api.asked(nth).await;
        api.invoke();
    }
    assert_eq!(report(TUNNEL, "odd").await, 200);
    upstream.wait_until_taken(&["odd".to_owned()]).await;
    api.asked(4).await;
    assert!(!extension.has_ended(), "{}", extension.log.text());
    api.shutdown("spindown", 2 * SECOND);
    extension
}

#[test]
fn works_with_a_closed_and_with_an_unread_stdout() {
    isolated(|| async {
        for script in ["exec \"$0\" >&- 2>&- <&-", "\"$0\" 2>&1 | true"] {
            let (status, _) = works_with(script).await.ended().await;
            assert!(status.success(), "{script}: {status}");
        }
    });
}

#[test]
fn works_with_a_read_only_file_system() {
    isolated(|| async {
        // The script makes every mount read-only in a mount namespace of its own, and proves it by a failing write.
        let script = r#"exec unshare -m --propagation private sh -c '
            awk "{print \$2}" /proc/self/mounts | sort -r | while read -r mount; do
                mount -o remount,bind,ro "$mount" 2>/dev/null || :
            done
            for folder in /tmp /var/tmp /dev/shm .; do
                if touch "$folder/probe" 2>/dev/null; then echo "$folder can be written"; exit 99; fi
            done
            exec "$0"' "$0""#;
        assert_eq!(works_with(script).await.final_counts().await, [1, 1, 0, 0]);
    });
}

#[test]
fn with_one_port_taken_it_listens_on_the_other() {
    isolated(|| async {
        let taken = [
            TcpListener::bind((Ipv4Addr::LOCALHOST, 9000)).unwrap(),
            TcpListener::bind((Ipv6Addr::LOCALHOST, 9000)).unwrap(),
        ];
        let api = LambdaApi::start().await;
        let upstream = ScriptedUpstream::start(false).await;
        let dsn = upstream.dsn("127.0.0.1", KEY);
        let env = [("SENTRY_DSN", &*dsn), ("SENTRY_EXTENSION_PORTS", "9000,5333")];
        let extension = Extension::in_lambda(&api, &env);
        api.asked(1).await;
        api.invoke();
        assert_eq!(report(SocketAddr::from((Ipv4Addr::LOCALHOST, 5333)), "other port").await, 200);
        upstream.wait_until_taken(&["other port".to_owned()]).await;
        extension.log.wait_for("9000").await;
        api.asked(2).await;
        drop(taken);
        api.shutdown("spindown", 2 * SECOND);
        assert_eq!(extension.final_counts().await, [1, 1, 0, 0]);
    });
}

#[test]
fn a_dsn_that_points_at_the_extension_is_refused_and_logged() {
    isolated(|| async {
        for host in ["localhost:5333", "127.0.0.1:5333", "[::1]:5333", "127.0.0.2:5333"] {
            let api = LambdaApi::start().await;
            let dsn = format!("http://{KEY}@{host}/42");
            let extension = Extension::in_lambda(&api, &[("SENTRY_DSN", &dsn)]);
            api.asked(1).await;
            api.invoke();
            let status = report(TUNNEL, "round").await;
            assert!(status.is_client_error(), "{host}: {status}");
            api.asked(2).await;
            extension.log.wait_for("SENTRY_EXTENSION_DSN").await;
            api.shutdown("spindown", 2 * SECOND);
            assert_eq!(extension.final_counts().await, [0; 4], "{host}");
        }
    });
}

#[test]
fn if_invoke_is_refused_it_registers_for_shutdown_alone() {
    isolated(|| async {
        let api = LambdaApi::start().await;
        api.refuse(&[500, 403]);
        let upstream = ScriptedUpstream::start(false).await;
        let dsn = upstream.dsn("127.0.0.1", KEY);
        let extension = Extension::in_lambda(&api, &[("SENTRY_DSN", &dsn)]);
        assert_eq!(api.registration(2).await.events, json!(["INVOKE", "SHUTDOWN"]), "500 may pass");
        assert_eq!(api.registration(3).await.events, json!(["SHUTDOWN"]));
        api.asked(1).await;
        assert_eq!(report(TUNNEL, "anyway").await, 200);
        upstream.wait_until_taken(&["anyway".to_owned()]).await;
        api.shutdown("spindown", 2 * SECOND);
        assert_eq!(extension.final_counts().await, [1, 1, 0, 0]);
    });
}

#[test]
fn managed_instances_deliver_without_any_invocation() {
    isolated(|| async {
        let api = LambdaApi::start().await;
        api.telemetry(Subscription::Accepted);
        let upstream = ScriptedUpstream::start(false).await;
        let dsn = upstream.dsn("127.0.0.1", KEY);
        let env = [("AWS_LAMBDA_INITIALIZATION_TYPE", "lambda-managed-instances"), ("SENTRY_DSN", &*dsn)];
        let extension = Extension::in_lambda(&api, &env);
        assert_eq!(api.subscribed().await["schemaVersion"], "2025-01-29");
        api.asked(1).await;
        // Several invocations run at once, and telemetry reports each of them.
        for marker in ["a", "b", "c"] {
            api.started(marker).await;
            assert_eq!(report(TUNNEL, marker).await, 200);
        }
        upstream.wait_until_taken(&["a", "b", "c"].map(str::to_owned)).await;
        for request in ["c", "a", "b"] {
            api.done(request).await;
        }
        assert_eq!(api.asked_so_far(), 1);
        api.shutdown("spindown", 2 * SECOND);
        assert_eq!(extension.final_counts().await, [3, 3, 0, 0]);
    });
}

#[test]
fn if_the_runtime_cannot_start_it_still_takes_events() {
    isolated(|| async {
        let api = LambdaApi::start().await;
        let address = api.address();
        let env = [("AWS_LAMBDA_RUNTIME_API", &*address), ("PATH", "/usr/bin:/bin")];
        // There are enough file descriptors for a socket, but not for a tokio runtime.
        let script = "ulimit -n 5; exec \"$0\"";
        let mut extension = Extension::start(tools::program("bash"), &["-c", script, BINARY], &env);
        let registration = api.registration(1).await;
        assert_eq!(registration.name, "sentry-lambda-extension");
        assert_eq!(registration.events, json!(["SHUTDOWN"]));
        api.asked(1).await;
        extension.log.wait_for("idles until SHUTDOWN").await;
        // It also survives failures of Lambda's API.
        api.answer(Next::Close);
        api.asked(2).await;
        api.answer(Next::Status(500));
        api.asked(3).await;
        assert!(!extension.has_ended());
        api.shutdown("spindown", 2 * SECOND);
        let (status, log) = extension.ended().await;
        assert!(status.success(), "{status}: {}", log.text());
        assert!(api.violations().is_empty(), "{:?}", api.violations());
    });
}
