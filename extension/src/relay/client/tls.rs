//! TLS with the compiled-in root certificates and those of the user. They are loaded for the first connection.

use crate::log;
use rustls::crypto::{CryptoProvider, KeyProvider, ring};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::sign::SigningKey;
use rustls::{ClientConfig, RootCertStore};
use std::io;
use std::path::{Path, PathBuf};
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
        TlsConnector::from(Arc::clone(config)).connect(name, stream).await
    }

    fn configure(&self) -> io::Result<ClientConfig> {
        let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        for bundle in &self.ca_bundles {
            let path = bundle.display();
            match add(&mut roots, bundle) {
                Ok(added) => log::debug("added roots", &[("file", &path), ("certificates", &added)]),
                // The compiled-in roots may be enough. If not, the handshake fails with an error of its own.
                Err(error) => log::warn("cannot read the CA bundle", &[("file", &path), ("error", &error)]),
            }
        }
        let provider = CryptoProvider { key_provider: &NoKeys, ..ring::default_provider() };
        let config = ClientConfig::builder_with_provider(Arc::new(provider))
            .with_safe_default_protocol_versions()
            .map_err(io::Error::other)?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(config)
    }
}

/// Loads no private keys. The client has no certificate of its own, so the code for private keys and signing is left
/// out.
#[derive(Debug)]
struct NoKeys;

impl KeyProvider for NoKeys {
    fn load_private_key(&self, _: PrivateKeyDer<'static>) -> Result<Arc<dyn SigningKey>, rustls::Error> {
        Err(rustls::Error::General("client certificates are not supported".to_owned()))
    }
}

fn add(roots: &mut RootCertStore, bundle: &Path) -> io::Result<usize> {
    let certificates = CertificateDer::pem_file_iter(bundle).map_err(io::Error::other)?;
    let before = roots.len();
    roots.add_parsable_certificates(certificates.filter_map(Result::ok));
    match roots.len() - before {
        0 => Err(io::Error::new(io::ErrorKind::InvalidData, "no certificate in PEM form")),
        added => Ok(added),
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
        let tls = Tls::new(vec![missing.clone(), empty.clone()]);
        assert!(tls.configure().is_ok());
        let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        assert!(add(&mut roots, &missing).is_err());
        assert!(add(&mut roots, &empty).is_err());
        std::fs::remove_file(empty).unwrap();
    }
}
