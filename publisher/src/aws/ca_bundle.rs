//! Reads the certificate authorities that `AWS_CA_BUNDLE` or a profile's `ca_bundle` names. As in the AWS CLI, they
//! replace those of the system.

use rustls::pki_types::{CertificateDer, pem::PemObject};
use std::path::{Path, PathBuf};

/// The variable, which has precedence over the profile.
const VARIABLE: &str = "AWS_CA_BUNDLE";

/// Certificates in PEM format.
#[derive(Clone, Debug)]
pub(crate) struct CaBundle(pub(crate) Vec<u8>);

/// The file cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CaBundleError {
    /// The file cannot be read.
    #[error("cannot read the certificates in {path}, which {named_by} names")]
    Read {
        path: PathBuf,
        /// The variable or the setting that names the file.
        named_by: &'static str,
        #[source]
        source: std::io::Error,
    },
    /// The file contains no certificate.
    #[error("there is no certificate in {path}, which {named_by} names")]
    Empty {
        path: PathBuf,
        /// The variable or the setting that names the file.
        named_by: &'static str,
    },
}

impl CaBundle {
    /// Reads the file that the environment names.
    pub(crate) fn from_env() -> Result<Option<Self>, CaBundleError> {
        let path = std::env::var_os(VARIABLE).filter(|path| !path.is_empty());
        path.map(|path| Self::read(Path::new(&path), VARIABLE)).transpose()
    }

    /// Reads the file that the environment names, or else the one that the profile names.
    pub(crate) fn find(of_profile: Option<&str>) -> Result<Option<Self>, CaBundleError> {
        if let Some(bundle) = Self::from_env()? {
            return Ok(Some(bundle));
        }
        let path = of_profile.filter(|path| !path.is_empty());
        path.map(|path| Self::read(Path::new(path), "ca_bundle of the profile")).transpose()
    }

    fn read(path: &Path, named_by: &'static str) -> Result<Self, CaBundleError> {
        let path = path.to_path_buf();
        match std::fs::read(&path) {
            Err(source) => Err(CaBundleError::Read { path, named_by, source }),
            Ok(pem) => {
                let mut certificates = CertificateDer::pem_slice_iter(&pem);
                let all_good = certificates.by_ref().try_fold(0, |count, it| it.map(|_| count + 1));
                if all_good.is_ok_and(|count| count > 0) {
                    Ok(Self(pem))
                } else {
                    Err(CaBundleError::Empty { path, named_by })
                }
            }
        }
    }
}
