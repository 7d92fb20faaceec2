//! The HTTP client for downloads: rustls on ring, proxies from the environment, redirects and waits bounded.
//!
//! Trusted are the system's certificates; `SSL_CERT_FILE` and `SSL_CERT_DIR` name others in their place, and the list
//! compiled in is for systems that have none.

use rustls_native_certs::CertificateResult;
use std::{env, time::Duration};
use ureq::{
    Agent,
    tls::{Certificate, RootCerts, TlsConfig},
};

const CONNECT: Duration = Duration::from_secs(10);
const ANSWER: Duration = Duration::from_secs(30);
/// One attempt's; what was received by then is kept, and the next attempt goes on from there.
const BODY: Duration = Duration::from_mins(5);
const REDIRECTS: u32 = 5;

/// Where others than the system's certificates are named.
const NAMED: [&str; 2] = ["SSL_CERT_FILE", "SSL_CERT_DIR"];

/// Certificates were named, and there are none.
#[derive(Debug, thiserror::Error)]
#[error("{variable} names no certificate that can be read{}", .why.as_ref().map(|why| format!(": {why}")).unwrap_or_default())]
pub(crate) struct NoRoots {
    variable: &'static str,
    why: Option<rustls_native_certs::Error>,
}

/// Makes the client. Where the registry is asked over TLS, no redirect may leave it.
pub(crate) fn agent(registry: &str) -> Result<Agent, NoRoots> {
    let CertificateResult { certs, errors, .. } = rustls_native_certs::load_native_certs();
    let named = NAMED.into_iter().find(|name| env::var_os(name).is_some());
    let roots = match (certs.is_empty(), named) {
        // Whoever names certificates does not want to trust others instead.
        (true, Some(variable)) => return Err(NoRoots { variable, why: errors.into_iter().next() }),
        (true, None) => RootCerts::WebPki,
        (false, _) => certs.iter().map(|certificate| Certificate::from_der(certificate).to_owned()).into(),
    };
    Ok(Agent::config_builder()
        .http_status_as_error(false)
        .https_only(registry.starts_with("https:"))
        .max_redirects(REDIRECTS)
        .timeout_connect(Some(CONNECT))
        .timeout_recv_response(Some(ANSWER))
        .timeout_recv_body(Some(BODY))
        .user_agent(concat!("sentry-lambda-extension-publisher/", env!("CARGO_PKG_VERSION")))
        .tls_config(TlsConfig::builder().root_certs(roots).build())
        .build()
        .into())
}

/// Whether the same request may well succeed a moment later.
pub(crate) fn is_passing(error: &ureq::Error) -> bool {
    use ureq::Error as E;
    let passing =
        matches!(error, E::Io(_) | E::Timeout(_) | E::HostNotFound | E::ConnectionFailed | E::Protocol(_));
    passing && !is_refused_certificate(error)
}

/// Whether the other side is not trusted to be who it says.
pub(crate) fn is_refused_certificate(error: &ureq::Error) -> bool {
    let tls = match error {
        ureq::Error::Rustls(error) => Some(error),
        ureq::Error::Io(error) => error.get_ref().and_then(|inner| inner.downcast_ref()),
        _ => None,
    };
    matches!(tls, Some(rustls::Error::InvalidCertificate(_)))
}

/// The same, of an answer.
pub(crate) fn is_passing_status(status: u16) -> bool {
    status == 429 || status >= 500
}
