//! Tests certificates that the user adds: which are trusted, which are refused with a cause and a remedy, and files
//! that are no certificates.

use crate::support::{
    extension::{BINARY, Extension},
    rie::unpack,
    sdk::report,
    tools::{self, Arch},
};
use http_body_util::{BodyExt, Full};
use hyper::{Request, Response, body::Bytes, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use rcgen::{
    BasicConstraints, Certificate, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    date_time_ymd,
};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
    time::Duration,
};
use tempfile::TempDir;
use tokio::{io::AsyncWriteExt, net::TcpListener, sync::watch, task::AbortHandle};
use tokio_rustls::TlsAcceptor;

const SECOND: Duration = Duration::from_secs(1);
const VARIABLE: &str = "SENTRY_EXTENSION_CA_BUNDLE";
const P521: &str = include_str!("../fixtures/tls/p521-ca.pem");

/// An upstream that answers 200 to everything, or ends each handshake with an alert.
struct Upstream {
    url: String,
    taken: watch::Receiver<usize>,
    server: AbortHandle,
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Upstream {
    async fn with(certificate: &Certificate, key: &KeyPair) -> Self {
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)
            .unwrap();
        Self::start(Some(TlsAcceptor::from(Arc::new(config)))).await
    }

    async fn that_shares_no_algorithm() -> Self {
        Self::start(None).await
    }

    async fn start(acceptor: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://localhost:{}", listener.local_addr().unwrap().port());
        let (count, taken) = watch::channel(0);
        let server = tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let (acceptor, count) = (acceptor.clone(), count.clone());
                tokio::spawn(async move {
                    let Some(acceptor) = acceptor else {
                        // A fatal alert: handshake_failure.
                        let _ = stream.write_all(&[0x15, 3, 3, 0, 2, 2, 40]).await;
                        return;
                    };
                    let Ok(stream) = acceptor.accept(stream).await else { return };
                    let service = service_fn(async |request: Request<Incoming>| {
                        request.into_body().collect().await?;
                        count.send_modify(|count| *count += 1);
                        Ok::<_, hyper::Error>(Response::new(Full::new(Bytes::from_static(b"{}"))))
                    });
                    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
                });
            }
        });
        Self { url, taken, server: server.abort_handle() }
    }

    /// Checks that an event arrives with these settings.
    async fn delivers_with(&self, settings: &[(&str, &str)]) {
        self.delivers_by(Path::new(BINARY), settings).await;
    }

    /// Checks that this binary delivers an event with these settings.
    async fn delivers_by(&self, binary: &Path, settings: &[(&str, &str)]) {
        let (extension, address) = Extension::standalone_of(binary, &self.url, settings).await;
        assert_eq!(report(address, "trusted").await, 200);
        let mut taken = self.taken.clone();
        let before = *taken.borrow();
        let waited = tokio::time::timeout(10 * SECOND, taken.wait_for(|taken| *taken > before)).await;
        assert!(waited.is_ok(), "{settings:?}:\n{}", extension.log.text());
    }

    /// Checks that nothing arrives with these settings, and that the log names the cause and the remedy.
    async fn is_refused_with(&self, settings: &[(&str, &str)], said: &[&str]) {
        self.is_refused_by(Path::new(BINARY), settings, said).await;
    }

    /// Checks the same of this binary.
    async fn is_refused_by(&self, binary: &Path, settings: &[(&str, &str)], said: &[&str]) {
        let (extension, address) = Extension::standalone_of(binary, &self.url, settings).await;
        assert_eq!(report(address, "refused").await, 200);
        let line = extension.log.wait_for("TLS handshake failed").await;
        for said in said {
            assert!(line.contains(said), "no {said:?} in {line}");
        }
        assert_eq!(*self.taken.borrow(), 0);
    }
}

/// Returns the parameters of a self-signed certificate as `openssl req -x509` makes it, which is that of an authority.
fn authority(name: &str) -> CertificateParams {
    let mut params = CertificateParams::new([name.to_owned()]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, name);
    params
}

/// A folder for bundles.
struct Bundles(TempDir);

impl Bundles {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Writes a bundle, and returns its path.
    fn write(&self, name: &str, text: impl AsRef<[u8]>) -> String {
        fs::write(self.path(name), text).unwrap();
        self.path(name).to_str().unwrap().to_owned()
    }
}

#[tokio::test]
async fn a_self_signed_certificate_is_trusted_byte_for_byte() {
    let bundles = Bundles::new();
    let key = KeyPair::generate().unwrap();
    let certificate = authority("localhost").self_signed(&key).unwrap();
    let upstream = Upstream::with(&certificate, &key).await;
    upstream.is_refused_with(&[], &[VARIABLE]).await;
    // Another certificate with the same name and key is not trusted.
    let other = bundles.write("other", authority("localhost").self_signed(&key).unwrap().pem());
    upstream.is_refused_with(&[(VARIABLE, &other)], &["that very certificate", VARIABLE]).await;
    let bundle = bundles.write("bundle", format!("{P521}{}", certificate.pem()));
    upstream.delivers_with(&[(VARIABLE, &bundle)]).await;
}

#[tokio::test]
async fn a_certificate_of_an_unknown_authority_is_trusted_byte_for_byte() {
    let bundles = Bundles::new();
    let (root_key, key) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
    let issuer = Issuer::new(authority("nobody"), root_key);
    let certificate =
        CertificateParams::new(["localhost".to_owned()]).unwrap().signed_by(&key, &issuer).unwrap();
    let upstream = Upstream::with(&certificate, &key).await;
    upstream.is_refused_with(&[], &["no authority that is trusted", VARIABLE]).await;
    let bundle = bundles.write("bundle", certificate.pem());
    upstream.delivers_with(&[(VARIABLE, &bundle)]).await;
}

/// The layer is built without the texts of errors, by which an error could be told from another one. So its own binary
/// has to take a self-signed certificate that is that of an authority, as the server's own and as that of an issuer.
#[tokio::test]
async fn e2e_the_built_layer_trusts_a_self_signed_authority() {
    let bundles = Bundles::new();
    let layer = bundles.path("layer");
    unpack(&Arch::NATIVE.layer_zip(), &layer);
    let binary = layer.join("extensions/sentry-lambda-extension");
    let key = KeyPair::generate().unwrap();
    let mut params = authority("localhost");
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
    let root = params.self_signed(&key).unwrap();
    let bundle = bundles.write("bundle", root.pem());
    let trusted = [(VARIABLE, &*bundle)];

    let upstream = Upstream::with(&root, &key).await;
    upstream.is_refused_by(&binary, &[], &["that very certificate", VARIABLE]).await;
    upstream.delivers_by(&binary, &trusted).await;

    let server_key = KeyPair::generate().unwrap();
    let issuer = Issuer::new(params, key);
    let server = CertificateParams::new(["localhost".to_owned()]).unwrap();
    let server = server.signed_by(&server_key, &issuer).unwrap();
    let upstream = Upstream::with(&server, &server_key).await;
    upstream.is_refused_by(&binary, &[], &["no authority that is trusted", VARIABLE]).await;
    upstream.delivers_by(&binary, &trusted).await;
}

#[tokio::test]
async fn trust_covers_neither_another_name_nor_another_time() {
    let bundles = Bundles::new();
    let key = KeyPair::generate().unwrap();
    let certificate = authority("sentry.example.com").self_signed(&key).unwrap();
    let bundle = bundles.write("name", certificate.pem());
    let upstream = Upstream::with(&certificate, &key).await;
    upstream.is_refused_with(&[(VARIABLE, &bundle)], &["sentry.example.com", "subjectAltName"]).await;

    let mut expired = authority("localhost");
    (expired.not_before, expired.not_after) = (date_time_ymd(2001, 1, 1), date_time_ymd(2002, 1, 1));
    let certificate = expired.self_signed(&key).unwrap();
    let bundle = bundles.write("expired", certificate.pem());
    let upstream = Upstream::with(&certificate, &key).await;
    upstream.is_refused_with(&[(VARIABLE, &bundle)], &["expired", "renew"]).await;
}

#[tokio::test]
async fn keys_that_are_not_supported_are_named() {
    let bundles = Bundles::new();
    let bundle = bundles.write("bundle", P521);
    let upstream = Upstream::that_shares_no_algorithm().await;
    upstream.is_refused_with(&[(VARIABLE, &bundle)], &["P-256, P-384, Ed25519", "TLS 1.2 and 1.3"]).await;
    let (extension, address) = Extension::standalone(&upstream.url, &[(VARIABLE, &bundle)]).await;
    assert_eq!(report(address, "named").await, 200);
    let line = extension.log.wait_for("P-521").await;
    assert!(line.contains("\"warn\"") && line.contains("P-384"), "{line}");
}

#[tokio::test]
async fn every_variable_of_other_programs_counts() {
    let bundles = Bundles::new();
    let key = KeyPair::generate().unwrap();
    let certificate = authority("localhost").self_signed(&key).unwrap();
    let upstream = Upstream::with(&certificate, &key).await;
    fs::create_dir(bundles.path("folder")).unwrap();
    let file = bundles.write("folder/bundle.pem", certificate.pem());
    for name in
        ["SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "AWS_CA_BUNDLE"]
    {
        upstream.delivers_with(&[(name, &file)]).await;
    }
    let folder = bundles.path("folder");
    let folder = folder.to_str().unwrap();
    upstream.delivers_with(&[("SSL_CERT_DIR", &format!("/nonexistent:{folder}"))]).await;
    // Requests takes a folder, too.
    upstream.delivers_with(&[("REQUESTS_CA_BUNDLE", folder)]).await;
}

#[tokio::test]
async fn what_is_no_regular_file_is_named_and_left_out() {
    let bundles = Bundles::new();
    let key = KeyPair::generate().unwrap();
    let certificate = authority("localhost").self_signed(&key).unwrap();
    let upstream = Upstream::with(&certificate, &key).await;
    let fifo = bundles.path("folder");
    fs::create_dir(&fifo).unwrap();
    let folder = fifo.to_str().unwrap().to_owned();
    let fifo = fifo.join("fifo");
    let made = Command::new(tools::program("mkfifo")).arg(&fifo).status().unwrap();
    assert!(made.success());
    let fifo = fifo.to_str().unwrap();
    let file = bundles.write("bundle", certificate.pem());
    let large = bundles.write("large", vec![b'\n'; 3 << 20]);
    for odd in [fifo, &folder, "/dev/zero", &large] {
        upstream.delivers_with(&[(VARIABLE, odd), ("SSL_CERT_FILE", &file)]).await;
        upstream.delivers_with(&[("SSL_CERT_DIR", odd), ("SSL_CERT_FILE", &file)]).await;
    }
    let (extension, address) = Extension::standalone(&upstream.url, &[(VARIABLE, fifo)]).await;
    assert_eq!(report(address, "named").await, 200);
    let line = extension.log.wait_for("cannot read the CA bundle").await;
    assert!(line.contains("not a regular file") && line.contains("fifo"), "{line}");
}
