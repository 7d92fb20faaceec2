//! Tests a kernel without IPv6, and one with IPv6 switched off. There must be no warning, because IPv4 works.

use crate::support::{
    extension::{BINARY, Extension},
    lambda_api::LambdaApi,
    netns::isolated,
    sdk::{KEY, TUNNEL, report},
};
use std::{fs, time::Duration};

const SECOND: Duration = Duration::from_secs(1);

/// A Python script that executes a program for which `socket(AF_INET6, …)` always fails with EAFNOSUPPORT (97).
const WITHOUT_IPV6: &str = r#"
import ctypes, os, platform, struct, sys
SOCKET = {"x86_64": 41, "aarch64": 198}[platform.machine()]
code = [
    (0x20, 0, 0, 0),            # the number of the call
    (0x15, 0, 3, SOCKET),
    (0x20, 0, 0, 16),           # its first argument
    (0x15, 0, 1, 10),           # AF_INET6
    (0x06, 0, 0, 0x00050000 | 97),
    (0x06, 0, 0, 0x7FFF0000),
]
program = ctypes.create_string_buffer(b"".join(struct.pack("<HBBI", *line) for line in code))
filter = ctypes.create_string_buffer(struct.pack("<HxxxxxxQ", len(code), ctypes.addressof(program)))
libc = ctypes.CDLL(None, use_errno=True)
assert libc.prctl(38, 1, 0, 0, 0) == 0  # PR_SET_NO_NEW_PRIVS
assert libc.prctl(22, 2, filter) == 0, ctypes.get_errno()  # PR_SET_SECCOMP
os.execv(sys.argv[1], sys.argv[1:])
"#;

async fn starts_without_a_warning(extension: Extension, api: &LambdaApi) {
    api.asked(1).await;
    assert_eq!(report(TUNNEL, "over IPv4").await, 200);
    extension.log.wait_for("IPv6 is not available").await;
    api.shutdown("spindown", SECOND);
    let (status, log) = extension.ended().await;
    assert!(status.success(), "{status}");
    assert!(!log.contains("cannot listen"), "{}", log.text());
}

#[test]
fn a_kernel_without_ipv6_is_no_reason_for_a_warning() {
    isolated(|| async {
        let api = LambdaApi::start().await;
        let (address, dsn) = (api.address(), format!("http://{KEY}@127.0.0.1:9/42"));
        let env =
            [("AWS_LAMBDA_RUNTIME_API", &*address), ("SENTRY_DSN", &*dsn), ("SENTRY_EXTENSION_LOG", "debug")];
        let extension = Extension::start("/usr/bin/python3", &["-c", WITHOUT_IPV6, BINARY], &env);
        starts_without_a_warning(extension, &api).await;
    });
}

#[test]
fn ipv6_that_is_switched_off_is_no_reason_for_a_warning() {
    isolated(|| async {
        fs::write("/proc/sys/net/ipv6/conf/lo/disable_ipv6", "1").unwrap();
        let api = LambdaApi::start().await;
        let dsn = format!("http://{KEY}@127.0.0.1:9/42");
        let env = [("SENTRY_DSN", &*dsn), ("SENTRY_EXTENSION_LOG", "debug")];
        starts_without_a_warning(Extension::in_lambda(&api, &env), &api).await;
    });
}
