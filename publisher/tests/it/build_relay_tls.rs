//! Downloads of Relay over TLS: the publisher accepts only certificates that the user trusts.

use crate::{
    build_relay::{sha256, workspace_with_binaries},
    build_relay_download::{BUILD, PIN, VERSION, X86_64_FILE, arm64, lock, run_trusting, x86_64},
    support::{
        registry::{Registry, answer, full_response, range_response, truncated},
        tls::TestTls,
    },
};
use serde_json::Value;

#[test]
fn a_download_over_tls_is_accepted_and_resumed_if_the_certificate_is_trusted() {
    let workspace = workspace_with_binaries();
    let tls = TestTls::new();
    let registry = Registry::secure(&tls, |request| {
        if request.path.ends_with("aarch64") {
            return full_response(&arm64());
        }
        let answer = range_response(request, &x86_64(), "\"one\"");
        if request.nth == 0 { truncated(&answer, 100_000) } else { answer }
    });
    assert!(registry.url().starts_with("https://"));
    run_trusting(Some(tls.ca_file()), &workspace, &registry, &PIN, 0);
    assert_eq!(lock(&workspace)[VERSION]["x86_64"]["sha256"], sha256(&x86_64()));
    assert_eq!(
        registry.requests(X86_64_FILE)[1].start(),
        x86_64().len() - 100_000,
        "the download was not resumed"
    );
    run_trusting(Some(tls.ca_file()), &workspace, &registry, &BUILD, 0);
}

#[test]
fn a_download_over_tls_is_refused_if_the_certificate_is_not_trusted() {
    let workspace = workspace_with_binaries();
    let (tls, other) = (TestTls::new(), TestTls::new());
    let registry = Registry::secure(&tls, |_| full_response(&arm64()));
    for roots in [None, Some(other.ca_file())] {
        let said = run_trusting(roots, &workspace, &registry, &PIN, 1);
        assert!(said.contains("cannot ask https://") && said.contains("certificate"), "{said}");
        assert!(said.contains("is not trusted here") && said.contains("SSL_CERT_FILE"), "{said}");
    }
    assert!(registry.requests("/").is_empty(), "a request was sent to a server that is not trusted");
    assert_eq!(registry.connections(), 2, "an untrusted certificate must not be tried again");
    assert_eq!(lock(&workspace), Value::Null);

    // If SSL_CERT_FILE is set, only its certificates are trusted. A file without certificates is an error.
    let missing = workspace.path().join("missing.pem");
    let empty = workspace.file("empty.pem", "no certificate\n");
    for roots in [missing.as_path(), &empty] {
        let said = run_trusting(Some(roots), &workspace, &registry, &PIN, 1);
        assert!(said.contains("SSL_CERT_FILE names no certificate") && said.contains("unset it"), "{said}");
    }
}

#[test]
fn a_redirect_from_tls_to_plain_http_is_refused() {
    let workspace = workspace_with_binaries();
    let tls = TestTls::new();
    let plain = Registry::of(arm64(), x86_64());
    let elsewhere = format!("location: {}/files/relay-Linux-aarch64\r\n", plain.url());
    let registry = Registry::secure(&tls, move |_| answer("302 Found", &elsewhere, b""));
    run_trusting(Some(tls.ca_file()), &workspace, &registry, &PIN, 1);
    assert!(plain.requests("/").is_empty());
    assert_eq!(lock(&workspace), Value::Null);
}
