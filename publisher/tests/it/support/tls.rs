//! A certificate authority for the tests, and a TLS server on loopback with a certificate from it.

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use std::{fs, path::Path, sync::Arc};

/// The authority's certificate as a PEM file, and the configuration of a server with a certificate from it.
pub struct TestTls {
    authority: tempfile::NamedTempFile,
    pub server: Arc<rustls::ServerConfig>,
}

impl TestTls {
    /// Creates a new authority.
    pub fn new() -> Self {
        let mut authority = CertificateParams::default();
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        authority.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        authority.distinguished_name.push(DnType::CommonName, "Test CA");
        let authority_key = KeyPair::generate().unwrap();
        let file = tempfile::Builder::new().prefix("test-ca-").suffix(".pem").tempfile().unwrap();
        fs::write(file.path(), authority.self_signed(&authority_key).unwrap().pem()).unwrap();
        let issuer = Issuer::new(authority, authority_key);

        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &issuer).unwrap();
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let server = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)
            .unwrap();
        Self { authority: file, server: Arc::new(server) }
    }

    /// The path of the authority's certificate, for `SSL_CERT_FILE`.
    pub fn authority(&self) -> &Path {
        self.authority.path()
    }
}
