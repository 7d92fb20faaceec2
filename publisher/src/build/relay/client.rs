//! The HTTP client for downloads: rustls on ring, proxies from the environment, redirects and waits bounded.

use std::time::Duration;
use ureq::{
    Agent,
    tls::{Certificate, RootCerts, TlsConfig},
};

const CONNECT: Duration = Duration::from_secs(10);
const ANSWER: Duration = Duration::from_secs(30);
/// One attempt's; what was received by then is kept, and the next attempt goes on from there.
const BODY: Duration = Duration::from_mins(5);
const REDIRECTS: u32 = 5;

/// Makes the client. Where the registry is asked over TLS, no redirect may leave it.
pub fn agent(registry: &str) -> Agent {
    let system = rustls_native_certs::load_native_certs().certs;
    let roots = if system.is_empty() {
        RootCerts::WebPki
    } else {
        system.iter().map(|certificate| Certificate::from_der(certificate).to_owned()).into()
    };
    Agent::config_builder()
        .http_status_as_error(false)
        .https_only(registry.starts_with("https:"))
        .max_redirects(REDIRECTS)
        .timeout_connect(Some(CONNECT))
        .timeout_recv_response(Some(ANSWER))
        .timeout_recv_body(Some(BODY))
        .user_agent(concat!("sentry-lambda-extension-publisher/", env!("CARGO_PKG_VERSION")))
        .tls_config(TlsConfig::builder().root_certs(roots).build())
        .build()
        .into()
}

/// Whether the same request may well succeed a moment later.
pub fn is_passing(error: &ureq::Error) -> bool {
    use ureq::Error as E;
    matches!(error, E::Io(_) | E::Timeout(_) | E::HostNotFound | E::ConnectionFailed | E::Protocol(_))
}

/// The same, of an answer.
pub fn is_passing_status(status: u16) -> bool {
    status == 429 || status >= 500
}
