//! Decides whether upstream's certificate is trusted, and says what to do if it is not.

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{
    AlertDescription, CertificateError, DigitallySignedStruct, Error, OtherError, RootCertStore,
    SignatureScheme,
};
use std::io;

/// The encoding of the name of the curve P-521 in a certificate.
const P521: [u8; 7] = [0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x23];

/// Trusts what the authorities vouch for, and in addition each certificate of the user itself. Webpki alone refuses a
/// server's certificate that is also that of an authority, as many self-signed ones are.
///
/// The verifier of rustls is not used, because it also brings the code for revocation lists, of which there are none.
#[derive(Debug)]
pub(super) struct Verifier {
    pub(super) authorities: RootCertStore,
    /// The certificates of the user's bundles.
    pub(super) own: Vec<CertificateDer<'static>>,
    pub(super) algorithms: WebPkiSupportedAlgorithms,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let (certificate, algorithms) = (ParsedCertificate::try_from(end_entity)?, self.algorithms.all);
        let roots = &self.authorities;
        match verify_server_cert_signed_by_trust_anchor(&certificate, roots, intermediates, now, algorithms) {
            Err(Error::InvalidCertificate(why)) if is_about_issuer(&why) && self.own.contains(end_entity) => {
            }
            verified => verified?,
        }
        verify_server_name(&certificate, server_name)?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// Whether the error says only that nobody vouches for the certificate. Webpki checks the validity in time before.
fn is_about_issuer(why: &CertificateError) -> bool {
    match why {
        CertificateError::UnknownIssuer | CertificateError::BadSignature => true,
        CertificateError::Other(_) => is_authority(why),
        why => is_unsupported(why),
    }
}

/// Whether the error says that a server uses the certificate of an authority.
fn is_authority(why: &CertificateError) -> bool {
    of_webpki(why) == Some(&webpki::Error::CaUsedAsEndEntity)
}

/// Webpki's own error, where rustls has no name for it. Its text cannot be used, because the layer is built without
/// such texts.
fn of_webpki(why: &CertificateError) -> Option<&webpki::Error> {
    let CertificateError::Other(OtherError(error)) = why else { return None };
    error.downcast_ref()
}

fn is_unsupported(why: &CertificateError) -> bool {
    matches!(
        why,
        CertificateError::UnsupportedSignatureAlgorithmContext { .. }
            | CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext { .. }
    )
}

/// Whether the certificate has to do with a key on the curve P-521, whose signatures cannot be checked.
pub(super) fn uses_p521(certificate: &CertificateDer<'_>) -> bool {
    certificate.windows(P521.len()).any(|bytes| bytes == P521)
}

/// Adds to the error of a handshake what the user can do about it.
pub(super) fn explained(error: io::Error) -> io::Error {
    const SUPPORTED: &str = "supported are keys of P-256, P-384, Ed25519, and RSA with 2048 bits or more, signatures \
                             with SHA-256 or better, AES-GCM, key exchange by P-256 or P-384, and TLS 1.2 and 1.3";
    let Some(cause) = error.get_ref().and_then(|cause| cause.downcast_ref::<Error>()) else { return error };
    let remedy = match cause {
        Error::InvalidCertificate(why) => match why {
            CertificateError::UnknownIssuer => {
                "no authority that is trusted has issued the server's certificate: put the authority's certificate, \
                 or the server's own, into the file that SENTRY_EXTENSION_CA_BUNDLE names"
            }
            CertificateError::ExpiredContext { .. } | CertificateError::NotValidYetContext { .. } => {
                "renew the certificate, or set the clock"
            }
            CertificateError::NotValidForNameContext { .. } => {
                "the host of the DSN has to be among the names (subjectAltName) of the certificate"
            }
            why if is_unsupported(why) => SUPPORTED,
            why if is_authority(why) => {
                "the server uses the certificate of an authority: put that very certificate into the file that \
                 SENTRY_EXTENSION_CA_BUNDLE names"
            }
            why if of_webpki(why) == Some(&webpki::Error::UnsupportedCertVersion) => {
                "the certificate has to be of version 3"
            }
            _ => return error,
        },
        Error::AlertReceived(AlertDescription::HandshakeFailure | AlertDescription::ProtocolVersion)
        | Error::PeerIncompatible(_) => SUPPORTED,
        _ => return error,
    };
    io::Error::new(error.kind(), format!("{error}: {remedy}"))
}
