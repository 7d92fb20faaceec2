//! A certificate authority of the tests' own, and a server on loopback that it vouches for.

use super::http::{Message, exchange};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use std::{fs, io::Write, net::TcpListener, path::Path, sync::Arc, thread};

/// The authority's certificate as a PEM file, and what a server needs.
pub struct TestTls {
    authority: tempfile::NamedTempFile,
    pub server: Arc<rustls::ServerConfig>,
}

impl TestTls {
    /// A new authority.
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

    /// Speaks TLS on a port of its own, passes each request on to a plain address, and returns the URL. Its threads end
    /// with the test process.
    pub fn front(&self, upstream: &str) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("https://{}", listener.local_addr().unwrap());
        let (server, upstream) = (Arc::clone(&self.server), upstream.to_owned());
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (server, upstream) = (Arc::clone(&server), upstream.clone());
                thread::spawn(move || -> std::io::Result<()> {
                    let connection = rustls::ServerConnection::new(server).unwrap();
                    let mut stream = rustls::StreamOwned::new(connection, stream);
                    let request = Message::read(&mut stream, false)?;
                    let answer = exchange(&upstream, &request.head, &request.body)?;
                    stream.write_all(answer.head.as_bytes())?;
                    stream.write_all(&answer.body)?;
                    stream.conn.send_close_notify();
                    stream.flush()
                });
            }
        });
        url
    }

    /// The authority's certificate, for `SSL_CERT_FILE`.
    pub fn authority(&self) -> &Path {
        self.authority.path()
    }
}
