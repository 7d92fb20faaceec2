//! The certificate authorities that `AWS_CA_BUNDLE` or a profile's `ca_bundle` names, as the AWS CLI uses them: instead
//! of the system's own.

use rustls::pki_types::{CertificateDer, pem::PemObject};
use std::path::{Path, PathBuf};

/// The variable, which wins over the profile.
const VARIABLE: &str = "AWS_CA_BUNDLE";

/// Certificates, as PEM.
#[derive(Clone, Debug)]
pub(crate) struct CaBundle(pub(crate) Vec<u8>);

/// A file that is of no use.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CaBundleError {
    /// It cannot be read.
    #[error("cannot read the certificates in {path}, which {named_by} names")]
    Read {
        /// The file.
        path: PathBuf,
        /// The variable or the setting.
        named_by: &'static str,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// It is something else.
    #[error("there is no certificate in {path}, which {named_by} names")]
    Empty {
        /// The file.
        path: PathBuf,
        /// The variable or the setting.
        named_by: &'static str,
    },
}

impl CaBundle {
    /// What the environment names.
    pub(crate) fn from_env() -> Result<Option<Self>, CaBundleError> {
        let path = std::env::var_os(VARIABLE).filter(|path| !path.is_empty());
        path.map(|path| Self::read(Path::new(&path), VARIABLE)).transpose()
    }

    /// What the environment names, else what a profile does.
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
