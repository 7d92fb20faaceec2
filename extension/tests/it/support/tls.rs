//! A certificate authority for the tests, and a server certificate for loopback. The tests of both crates use it.

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use std::{fs, os::unix::fs::PermissionsExt, path::Path, sync::Arc};

/// The authority's certificate as a PEM file, and a TLS server whose certificate it has signed.
pub struct TestTls {
    ca: tempfile::NamedTempFile,
    pub server: Arc<rustls::ServerConfig>,
}

impl TestTls {
    /// Makes a new authority. The server certificate covers loopback, `upstream.test` and 10.99.0.1.
    pub fn new() -> Self {
        let mut authority = CertificateParams::default();
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        authority.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        authority.distinguished_name.push(DnType::CommonName, "Test CA");
        let authority_key = KeyPair::generate().unwrap();
        let authority_pem = authority.self_signed(&authority_key).unwrap().pem();
        let issuer = Issuer::new(authority, authority_key);

        let names = ["localhost", "127.0.0.1", "::1", "upstream.test", "10.99.0.1"].map(str::to_owned);
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(names).unwrap().signed_by(&key, &issuer).unwrap();
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));

        let ca = tempfile::Builder::new().prefix("test-ca-").suffix(".pem").tempfile().unwrap();
        fs::write(ca.path(), authority_pem).unwrap();
        // A temporary file is readable for its owner only, but the function's user has to read this one.
        fs::set_permissions(ca.path(), fs::Permissions::from_mode(0o644)).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let server = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)
            .unwrap();
        Self { ca, server: Arc::new(server) }
    }

    /// Returns the path of the authority's certificate, for variables such as `SENTRY_EXTENSION_CA_BUNDLE`.
    pub fn ca_file(&self) -> &Path {
        self.ca.path()
    }
}
