//! Downloads of Relay over TLS: only from whom the user trusts.

use crate::{
    build_relay::{pretended, sha256},
    build_relay_download::{BUILD, PIN, VERSION, X86_64_FILE, arm64, lock, run_trusting, x86_64},
    support::{
        registry::{Registry, answer, full_response, range_response, truncated},
        tls::TestTls,
    },
};
use serde_json::Value;

#[test]
fn over_tls_it_comes_from_whom_the_user_trusts() {
    let workspace = pretended();
    let tls = TestTls::new();
    let registry = Registry::secure(&tls, |request| {
        if request.path.ends_with("aarch64") {
            return full_response(&arm64());
        }
        let answer = range_response(request, &x86_64(), "\"one\"");
        if request.nth == 0 { truncated(&answer, 100_000) } else { answer }
    });
    assert!(registry.url().starts_with("https://"));
    run_trusting(Some(tls.authority()), &workspace, &registry, &PIN, 0);
    assert_eq!(lock(&workspace)[VERSION]["x86_64"]["sha256"], sha256(&x86_64()));
    assert_eq!(registry.requests(X86_64_FILE)[1].start(), x86_64().len() - 100_000, "and is resumed");
    run_trusting(Some(tls.authority()), &workspace, &registry, &BUILD, 0);
}

#[test]
fn over_tls_nothing_comes_from_anybody_else() {
    let workspace = pretended();
    let (tls, other) = (TestTls::new(), TestTls::new());
    let registry = Registry::secure(&tls, |_| full_response(&arm64()));
    for roots in [None, Some(other.authority())] {
        let said = run_trusting(roots, &workspace, &registry, &PIN, 1);
        assert!(said.contains("cannot ask https://") && said.contains("certificate"), "{said}");
        assert!(said.contains("is not trusted here") && said.contains("SSL_CERT_FILE"), "{said}");
    }
    assert!(registry.requests("/").is_empty(), "it is not even asked");
    assert_eq!(registry.connections(), 2, "what is not trusted once is not trusted a moment later");
    assert_eq!(lock(&workspace), Value::Null);

    // Who names certificates trusts these, or nobody.
    let missing = workspace.path().join("missing.pem");
    let empty = workspace.file("empty.pem", "no certificate\n");
    for roots in [missing.as_path(), &empty] {
        let said = run_trusting(Some(roots), &workspace, &registry, &PIN, 1);
        assert!(said.contains("SSL_CERT_FILE names no certificate") && said.contains("unset it"), "{said}");
    }
}

#[test]
fn a_redirect_does_not_leave_tls() {
    let workspace = pretended();
    let tls = TestTls::new();
    let plain = Registry::of(arm64(), x86_64());
    let elsewhere = format!("location: {}/files/relay-Linux-aarch64\r\n", plain.url());
    let registry = Registry::secure(&tls, move |_| answer("302 Found", &elsewhere, b""));
    run_trusting(Some(tls.authority()), &workspace, &registry, &PIN, 1);
    assert!(plain.requests("/").is_empty());
    assert_eq!(lock(&workspace), Value::Null);
}
