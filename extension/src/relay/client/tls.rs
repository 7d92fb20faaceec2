//! TLS with the compiled-in root certificates and those of the user. They are loaded for the first connection.

use super::ca_bundles::Certificates;
use super::cryptography;
use super::trust::{self, Verifier};
use crate::log;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// Makes TLS streams. The configuration is built for the first one only.
#[derive(Debug)]
pub(super) struct Tls {
    ca_bundles: Vec<PathBuf>,
    config: OnceLock<Arc<ClientConfig>>,
}

impl Tls {
    pub(super) fn new(ca_bundles: Vec<PathBuf>) -> Self {
        Self { ca_bundles, config: OnceLock::new() }
    }

    /// Does the TLS handshake, and checks the certificate of the host.
    pub(super) async fn connect<S>(&self, host: &str, stream: S) -> io::Result<TlsStream<S>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
        let config = if let Some(config) = self.config.get() {
            config
        } else {
            let config = Arc::new(self.configure()?);
            self.config.get_or_init(|| config)
        };
        TlsConnector::from(Arc::clone(config)).connect(name, stream).await.map_err(trust::explained)
    }

    fn configure(&self) -> io::Result<ClientConfig> {
        let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        let own = self.read_bundles();
        roots.add_parsable_certificates(own.iter().cloned());
        let provider = cryptography::provider();
        let algorithms = provider.signature_verification_algorithms;
        let config = ClientConfig::builder_with_provider(Arc::new(provider))
            .with_safe_default_protocol_versions()
            .map_err(io::Error::other)?;
        let verifier = Verifier { authorities: roots, own, algorithms };
        Ok(config.dangerous().with_custom_certificate_verifier(Arc::new(verifier)).with_no_client_auth())
    }

    /// Returns the certificates of all bundles. What cannot be read is logged and left out: the compiled-in roots may
    /// be enough, and if not, the handshake fails with an error of its own.
    fn read_bundles(&self) -> Vec<CertificateDer<'static>> {
        let mut certificates = Certificates::default();
        for bundle in &self.ca_bundles {
            let path = bundle.display();
            match certificates.read(bundle) {
                Ok(found) => log::debug("read a CA bundle", &[("file", &path), ("certificates", &found)]),
                Err(error) => log::warn("cannot read the CA bundle", &[("file", &path), ("error", &error)]),
            }
        }
        let with_p521 = certificates.all.iter().filter(|certificate| trust::uses_p521(certificate)).count();
        if with_p521 > 0 {
            log::warn(
                "keys of the curve P-521 are not supported: use P-384 instead",
                &[("certificates", &with_p521)],
            );
        }
        certificates.all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_or_empty_bundle_leaves_the_compiled_in_roots() {
        let empty = std::env::temp_dir().join(format!("empty-bundle-{}.pem", std::process::id()));
        std::fs::write(&empty, "no certificate").unwrap();
        let missing = PathBuf::from("/nonexistent/ca.pem");
        let tls = Tls::new(vec![missing, empty.clone()]);
        assert!(tls.configure().is_ok());
        assert!(tls.read_bundles().is_empty());
        std::fs::remove_file(empty).unwrap();
    }
}
