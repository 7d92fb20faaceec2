//! Tests how the wrapper changes the environment of the runtime, and when it does not change it.

use super::{KEY, extension, run_wrapper, value};
use crate::support::netns::isolated;
use std::{ffi::OsStr, os::unix::ffi::OsStrExt};

type Entries = Vec<Vec<u8>>;

pub fn run_with(env: &[(&str, &str)]) -> (Vec<serde_json::Value>, Entries) {
    let env: Vec<_> = env.iter().map(|(name, value)| (OsStr::new(name), OsStr::new(value))).collect();
    run_wrapper(&env)
}

#[test]
fn the_sdk_is_pointed_at_the_extension() {
    isolated(|| async {
        let _extension = extension(&[]).await;
        for (dsn, told) in [
            (format!("https://{KEY}@o1.ingest.sentry.io/42"), format!("http://{KEY}@127.0.0.1:5333/42")),
            (format!("https://{KEY}@o1.ingest.de.sentry.io/42"), format!("http://{KEY}@127.0.0.1:5333/42")),
            (
                format!("https://{KEY}:s3cr3t@sentry.example.com:8443/a/b/42"),
                format!("http://{KEY}:s3cr3t@127.0.0.1:5333/42"),
            ),
            (format!("http://{KEY}@[2001:db8::1]:9000/42"), format!("http://{KEY}@127.0.0.1:5333/42")),
        ] {
            let (lines, entries) = run_with(&[("SENTRY_DSN", &dsn), ("A", "b")]);
            assert!(lines.is_empty(), "{lines:?}");
            assert_eq!(value(&entries, "SENTRY_DSN"), Some(told));
            for name in ["NO_PROXY", "no_proxy"] {
                assert_eq!(value(&entries, name).as_deref(), Some("localhost,127.0.0.1"));
            }
            assert_eq!(value(&entries, "A").as_deref(), Some("b"));
            assert_eq!(entries.len(), 4, "and nothing else");
        }
    });
}

#[test]
fn settings_of_the_extension_and_no_proxy_are_respected() {
    isolated(|| async {
        let _extension = extension(&[("SENTRY_EXTENSION_PORTS", "nine,9001,4000,4001")]).await;
        let dsn = format!("https://{KEY}@sentry.io/42");
        let real = format!("https://{KEY}@sentry.example.com/1");
        let (lines, entries) = run_with(&[
            ("SENTRY_DSN", &dsn),
            ("SENTRY_EXTENSION_DSN", &real),
            ("SENTRY_EXTENSION_PORTS", "nine,9001,4000,4001"),
            ("NO_PROXY", "corp.example"),
            ("no_proxy", "*"),
        ]);
        assert!(lines.is_empty(), "{lines:?}");
        assert_eq!(value(&entries, "SENTRY_DSN"), Some(format!("http://{KEY}@127.0.0.1:4000/42")));
        assert_eq!(value(&entries, "SENTRY_EXTENSION_DSN"), Some(real));
        assert_eq!(value(&entries, "NO_PROXY").as_deref(), Some("corp.example,localhost,127.0.0.1"));
        assert_eq!(value(&entries, "no_proxy").as_deref(), Some("*"));
    });
}

/// Returns an unsorted environment with unusual entries.
fn unusual_environment(dsn: Option<&[u8]>) -> Vec<(&'static OsStr, Vec<u8>)> {
    let mut env: Vec<(&OsStr, Vec<u8>)> =
        vec![(OsStr::new("Z"), b"".to_vec()), (OsStr::from_bytes(b"\xffname"), b"\xfe=\xff".to_vec())];
    env.extend(dsn.map(|dsn| (OsStr::new("SENTRY_DSN"), dsn.to_vec())));
    env.push((OsStr::new("NO_PROXY"), b"corp.example".to_vec()));
    env
}

fn stays(dsn: Option<&[u8]>) -> Vec<serde_json::Value> {
    let env = unusual_environment(dsn);
    let env: Vec<_> = env.iter().map(|(name, value)| (*name, OsStr::from_bytes(value))).collect();
    let (lines, entries) = run_wrapper(&env);
    let entry = |(name, value): &(&OsStr, &OsStr)| [name.as_bytes(), b"=", value.as_bytes()].concat();
    // The standard library sorts the environment of the wrapper. The wrapper passes it on in the same order.
    let mut expected: Entries = env.iter().map(entry).collect();
    expected.sort();
    assert_eq!(entries, expected);
    lines
}

#[test]
fn an_invalid_dsn_is_kept_with_one_warning() {
    let project = format!("https://{KEY}@sentry.io/my-project");
    for (dsn, why) in [
        (None, "it is not set"),
        (Some(&b""[..]), "it is not set"),
        (Some(b"nonsense"), "not an absolute URL"),
        (Some(b"https://"), "not an absolute URL"),
        (Some(b"https://public@sentry.io/42"), "its key"),
        (Some(b"ftp://5b0ff8a1e2c94d7fb7a3c1d2e4f60718@sentry.io/42"), "neither http nor https"),
        (Some(b"https://5b0ff8a1e2c94d7fb7a3c1d2e4f60718@sentry.io:99999/42"), "port"),
        (Some(b"https://5b0ff8a1e2c94d7fb7a3c1d2e4f60718@[::1/42"), "not an absolute URL"),
        (Some(b"https://\xff@sentry.io/42"), "not an absolute URL"),
        (Some(project.as_bytes()), "number of a project"),
    ] {
        let lines = stays(dsn);
        assert_eq!(lines.len(), 1, "{lines:?}");
        assert_eq!(lines[0]["level"], "warn");
        assert!(lines[0]["why"].as_str().unwrap().contains(why), "{lines:?}");
        assert!(!lines[0].to_string().contains(&KEY[..8]), "{lines:?}");
    }
}

#[test]
fn the_log_level_is_respected() {
    let (lines, _) = run_with(&[("SENTRY_EXTENSION_LOG", "error")]);
    assert!(lines.is_empty(), "{lines:?}");
}
