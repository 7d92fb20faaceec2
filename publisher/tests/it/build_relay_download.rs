//! `publisher build --relay VERSION` and `publisher relay pin`: only a binary whose hash is pinned is packed.

use crate::{
    build_fixture::{ARM64, Workspace, X86_64, assert_code, static_elf, stderr},
    build_relay::{entries, manifest, sha256, workspace_with_binaries},
    support::registry::{Registry, answer, full_response, range_response, truncated},
};
use serde_json::Value;
use std::{fs, path::Path};

pub const VERSION: &str = "26.9.0";
pub const X86_64_FILE: &str = "/files/relay-Linux-x86_64";

pub fn arm64() -> Vec<u8> {
    static_elf(ARM64.1, 7)
}

/// A binary that is large enough to be cut in pieces, and whose pieces all differ.
pub fn x86_64() -> Vec<u8> {
    x86_64_salted(7)
}

fn x86_64_salted(salt: u8) -> Vec<u8> {
    let mut binary = static_elf(X86_64.1, salt);
    binary.extend((0..100_000u32).flat_map(u32::to_le_bytes));
    binary
}

#[track_caller]
fn run(workspace: &Workspace, registry: &Registry, arguments: &[&str], code: i32) -> String {
    run_trusting(None, workspace, registry, arguments, code)
}

/// Does the same as `run`, but trusts the certificates in this file instead of the system's.
#[track_caller]
pub fn run_trusting(
    roots: Option<&Path>,
    workspace: &Workspace,
    registry: &Registry,
    arguments: &[&str],
    code: i32,
) -> String {
    let mut command = workspace.with_fake_tools();
    for proxy in ["http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"] {
        command.env_remove(proxy);
    }
    command.env_remove("SSL_CERT_DIR").env_remove("SSL_CERT_FILE");
    command.envs(roots.map(|roots| ("SSL_CERT_FILE", roots)));
    let output = command.args(arguments).args(["--relay-registry", registry.url()]).output().unwrap();
    assert_code(&output, code);
    stderr(&output)
}

pub const PIN: [&str; 3] = ["relay", "pin", VERSION];
pub const BUILD: [&str; 5] = ["build", "--relay", VERSION, "--arch", "x86_64"];

pub fn lock(workspace: &Workspace) -> Value {
    let text = fs::read(workspace.path().join("publisher/relay.lock")).unwrap_or_default();
    serde_json::from_slice(&text).unwrap_or_default()
}

fn forget_downloads(workspace: &Workspace) {
    fs::remove_dir_all(workspace.path().join(".tools/relay")).unwrap();
}

/// Runs `relay pin` on a file that has to be refused. Returns the error.
#[track_caller]
fn expect_pin_refused(
    file: impl Fn(&crate::support::registry::Request) -> Vec<u8> + Send + Sync + 'static,
) -> String {
    let workspace = workspace_with_binaries();
    let registry = Registry::new(file);
    let said = run(&workspace, &registry, &PIN, 1);
    assert_eq!(lock(&workspace), Value::Null, "{said}");
    said
}

#[test]
fn a_version_is_refused_until_it_is_pinned_and_then_packed_from_the_cache() {
    let workspace = workspace_with_binaries();
    let registry = Registry::of(arm64(), x86_64());
    let said = run(&workspace, &registry, &["build", "--relay", VERSION], 1);
    assert!(said.contains("is not pinned") && said.contains("publisher relay pin 26.9.0"), "{said}");
    assert!(registry.requests("/").is_empty(), "something was downloaded although it is not pinned");
    assert!(!workspace.path().join("dist/build.json").exists());

    run(&workspace, &registry, &PIN, 0);
    let pins = lock(&workspace);
    assert_eq!(pins[VERSION]["arm64"]["sha256"], sha256(&arm64()));
    assert_eq!(pins[VERSION]["x86_64"]["sha256"], sha256(&x86_64()));
    assert_eq!(pins[VERSION]["x86_64"]["size"], x86_64().len());

    let asked = registry.requests("/").len();
    run(&workspace, &registry, &["build", "--relay", VERSION], 0);
    assert_eq!(registry.requests("/").len(), asked, "the second build did not use the cache");
    let zip = workspace.path().join("dist/sentry-lambda-extension-relay-x86_64.zip");
    assert_eq!(entries(&zip)[1].2, x86_64());
    let relay = manifest(&workspace)["artifacts"][3]["relay"].clone();
    assert_eq!((&relay["version"], &relay["sha256"]), (&VERSION.into(), &sha256(&x86_64()).into()));

    // A changed file in the cache is not used. It is downloaded again.
    let kept = workspace.path().join(".tools/relay").join(VERSION).join("relay-Linux-x86_64");
    fs::write(kept, static_elf(X86_64.1, 8)).unwrap();
    run(&workspace, &registry, &BUILD, 0);
    assert_eq!(entries(&zip)[1].2, x86_64());
    assert_eq!(registry.requests("/").len(), asked + 2);
}

#[test]
fn a_broken_download_is_resumed() {
    let workspace = workspace_with_binaries();
    let registry = Registry::new(|request| {
        if request.path.ends_with("aarch64") {
            return full_response(&arm64());
        }
        let answer = range_response(request, &x86_64(), "\"one\"");
        if request.nth < 2 { truncated(&answer, 100_000 * (2 - request.nth)) } else { answer }
    });
    run(&workspace, &registry, &PIN, 0);
    let requests = registry.requests(X86_64_FILE);
    let starts: Vec<usize> = requests.iter().map(super::support::registry::Request::start).collect();
    let length = x86_64().len();
    assert_eq!(starts, [0, length - 200_000, length - 100_000]);
    assert_eq!(requests[1].if_range.as_deref(), Some("\"one\""));
    assert_eq!(lock(&workspace)[VERSION]["x86_64"]["sha256"], sha256(&x86_64()));
}

#[test]
fn the_next_run_resumes_and_starts_over_if_the_file_has_changed() {
    let workspace = workspace_with_binaries();
    let file = |tag: &'static str, salt: u8, broken: bool| {
        move |request: &crate::support::registry::Request| {
            if request.path.ends_with("aarch64") {
                return full_response(&arm64());
            }
            match (broken, request.nth) {
                (true, 0) => truncated(&range_response(request, &x86_64_salted(salt), tag), 50_000),
                (true, _) => answer("503 Service Unavailable", "", b""),
                (false, _) => range_response(request, &x86_64_salted(salt), tag),
            }
        }
    };
    let registry = Registry::new(file("\"one\"", 7, true));
    let said = run(&workspace, &registry, &PIN, 1);
    assert!(said.contains("503"), "{said}");
    assert_eq!(lock(&workspace), Value::Null);

    registry.change(file("\"two\"", 8, false));
    run(&workspace, &registry, &PIN, 0);
    let last = registry.requests(X86_64_FILE).pop().unwrap();
    assert_eq!(last.start(), x86_64().len() - 50_000, "the download was not resumed");
    assert_eq!(
        lock(&workspace)[VERSION]["x86_64"]["sha256"],
        sha256(&x86_64_salted(8)),
        "the pin is not the hash of the new file"
    );
}

#[test]
fn an_incomplete_file_is_refused() {
    let said = expect_pin_refused(|request| {
        if request.path.ends_with("aarch64") {
            full_response(&arm64())
        } else {
            truncated(&full_response(&x86_64()), 1000)
        }
    });
    assert!(said.contains("was cut off after") && said.contains("run the command again"), "{said}");
    // Without a content-length, only the tables in the ELF file show that it is incomplete.
    let said = expect_pin_refused(|_| {
        let program = fs::read("/bin/true").unwrap();
        let head = b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n";
        let mut body = program[..program.len() - 100].to_vec();
        body[18] = ARM64.1;
        [head.as_slice(), &body].concat()
    });
    assert!(said.contains("cannot be used") && said.contains("it is cut off"), "{said}");
}

#[test]
fn a_web_page_is_refused() {
    let page = b"<!doctype html><title>Sign in</title>";
    let said =
        expect_pin_refused(move |_| answer("200 OK", "content-type: text/html; charset=utf-8\r\n", page));
    assert!(said.contains("is a web page"), "{said}");
    let said = expect_pin_refused(move |_| full_response(page));
    assert!(said.contains("it is not an ELF file"), "{said}");
}

#[test]
fn an_unknown_version_and_a_missing_file_are_reported() {
    let workspace = workspace_with_binaries();
    let registry = Registry::new(|_| answer("404 Not Found", "", b""));
    let said = run(&workspace, &registry, &["relay", "pin", "26.8.0"], 1);
    assert!(said.contains("does not know Relay 26.8.0"), "{said}");
    assert_eq!(registry.requests("/apps/relay/26.8.0.json").len(), 1, "static mirrors have this path");
    let said = run(&workspace, &registry, &PIN, 1);
    assert!(said.contains("/files/relay-Linux-aarch64: the server answered 404"), "{said}");
    assert_eq!(registry.requests("/files/").len(), 1, "a request that was answered with 404 was repeated");
    assert_eq!(lock(&workspace), Value::Null);
    for bad in ["latest", "../26.9.0"] {
        let said = run(&workspace, &registry, &["relay", "pin", bad], 2);
        assert!(said.contains("is not a version"), "{said}");
    }
}

#[test]
fn redirects_are_followed_but_not_forever() {
    let workspace = workspace_with_binaries();
    let registry = Registry::new(|request| match request.path.as_str() {
        "/files/moved" => full_response(&x86_64()),
        X86_64_FILE => answer("302 Found", "location: /files/moved\r\n", b""),
        _ => full_response(&arm64()),
    });
    run(&workspace, &registry, &PIN, 0);
    assert_eq!(lock(&workspace)[VERSION]["x86_64"]["sha256"], sha256(&x86_64()));

    let said =
        expect_pin_refused(|request| answer("302 Found", &format!("location: {}\r\n", request.path), b""));
    assert!(said.contains("redirect"), "{said}");
}

#[test]
fn a_file_that_changed_since_it_was_pinned_is_refused_by_build_and_pin() {
    let workspace = workspace_with_binaries();
    let registry = Registry::of(arm64(), x86_64());
    run(&workspace, &registry, &PIN, 0);
    let pins = lock(&workspace);
    forget_downloads(&workspace);
    registry.change(|request| {
        if request.path.ends_with("aarch64") {
            full_response(&arm64())
        } else {
            full_response(&static_elf(X86_64.1, 8))
        }
    });
    for command in [BUILD.as_slice(), PIN.as_slice()] {
        let said = run(&workspace, &registry, command, 1);
        let (old, new) = (sha256(&x86_64()), sha256(&static_elf(X86_64.1, 8)));
        assert!(
            said.contains("is not what is pinned") && said.contains(&old) && said.contains(&new),
            "{said}"
        );
        assert_eq!(lock(&workspace), pins);
    }
    assert!(!workspace.path().join("dist/build.json").exists());
    // A download that was refused is not resumed.
    registry.change(|request| range_response(request, &x86_64(), "\"one\""));
    run(&workspace, &registry, &BUILD, 0);
}

#[test]
fn a_pin_changed_by_hand_matches_neither_cache_nor_download() {
    let workspace = workspace_with_binaries();
    let registry = Registry::of(arm64(), x86_64());
    run(&workspace, &registry, &PIN, 0);
    let text = lock(&workspace).to_string().replace(&sha256(&x86_64()), &"0".repeat(64));
    workspace.file("publisher/relay.lock", &text);
    let said = run(&workspace, &registry, &BUILD, 1);
    assert!(said.contains("is not what is pinned") && said.contains(&"0".repeat(64)), "{said}");

    workspace.file("publisher/relay.lock", "<<<<<<< HEAD\n");
    let said = run(&workspace, &registry, &BUILD, 1);
    assert!(said.contains("relay.lock does not hold pins") && said.contains("git diff"), "{said}");
}
