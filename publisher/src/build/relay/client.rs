//! The HTTP client for downloads and for image registries. It uses rustls with ring and the proxies from the
//! environment, and it limits redirects and waiting times.
//!
//! It trusts the system's certificates, or those that `SSL_CERT_FILE` and `SSL_CERT_DIR` name instead. The
//! compiled-in list is for systems that have none.

use rustls_native_certs::CertificateResult;
use std::{env, thread, time::Duration};
use ureq::{
    Agent,
    config::ConfigBuilder,
    tls::{Certificate, RootCerts, TlsConfig},
    typestate::AgentScope,
};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(30);
/// The limit for one attempt. What was received by then is kept, and the next attempt continues from there.
const BODY_TIMEOUT: Duration = Duration::from_mins(5);
const MAX_REDIRECTS: u32 = 5;
/// How often a short text is asked for, if each answer may be another one a moment later.
const MAX_ATTEMPTS: u32 = 3;

/// The variables that name certificates to trust instead of the system's.
const CERTIFICATE_VARIABLES: [&str; 2] = ["SSL_CERT_FILE", "SSL_CERT_DIR"];

/// Certificates were named, but none could be read.
#[derive(Debug, thiserror::Error)]
#[error(
    "{variable} names no certificate that can be read{}",
    .why.as_ref().map(|why| format!(": {why}")).unwrap_or_default()
)]
pub(crate) struct NoRoots {
    variable: &'static str,
    why: Option<rustls_native_certs::Error>,
}

/// Makes the client for downloads. If the registry uses TLS, all requests and redirects have to use TLS.
pub(crate) fn agent(registry: &str) -> Result<Agent, NoRoots> {
    Ok(config(registry)?.max_redirects(MAX_REDIRECTS).build().into())
}

/// Makes the client for uploads, which follows no redirects: what is sent is for the server that was named. A server on
/// this machine is not reached through a proxy.
pub(crate) fn uploading_agent(server: &str) -> Result<Agent, NoRoots> {
    let config = config(server)?.max_redirects(0).max_redirects_will_error(false);
    let config = config.timeout_send_body(Some(BODY_TIMEOUT));
    // Only servers on this machine are reached without TLS.
    let is_remote = server.starts_with("https:");
    Ok(if is_remote { config } else { config.proxy(None) }.build().into())
}

fn config(server: &str) -> Result<ConfigBuilder<AgentScope>, NoRoots> {
    let CertificateResult { certs, errors, .. } = rustls_native_certs::load_native_certs();
    let named = CERTIFICATE_VARIABLES.into_iter().find(|name| env::var_os(name).is_some());
    let roots = match (certs.is_empty(), named) {
        // A user who names certificates does not want others to be trusted instead.
        (true, Some(variable)) => return Err(NoRoots { variable, why: errors.into_iter().next() }),
        (true, None) => RootCerts::WebPki,
        (false, _) => certs.iter().map(|certificate| Certificate::from_der(certificate).to_owned()).into(),
    };
    Ok(Agent::config_builder()
        .http_status_as_error(false)
        .https_only(server.starts_with("https:"))
        .timeout_connect(Some(CONNECT_TIMEOUT))
        .timeout_recv_response(Some(RESPONSE_TIMEOUT))
        .timeout_recv_body(Some(BODY_TIMEOUT))
        .user_agent(concat!("sentry-lambda-extension-publisher/", env!("CARGO_PKG_VERSION")))
        .tls_config(TlsConfig::builder().root_certs(roots).build()))
}

/// Fetches a text of at most `limit` bytes, and returns it with the status. Asks again where that may help.
pub(crate) fn fetch(agent: &Agent, url: &str, limit: u64) -> Result<(u16, String), ureq::Error> {
    let mut attempt = 1;
    loop {
        let answer = fetch_once(agent, url, limit);
        let transient = match &answer {
            Ok((status, _)) => is_transient_status(*status),
            Err(error) => is_transient(error),
        };
        if !transient || attempt >= MAX_ATTEMPTS {
            return answer;
        }
        thread::sleep(Duration::from_millis(200) * attempt);
        attempt += 1;
    }
}

fn fetch_once(agent: &Agent, url: &str, limit: u64) -> Result<(u16, String), ureq::Error> {
    let mut response = agent.get(url).call()?;
    let status = response.status().as_u16();
    let text = response.body_mut().with_config().limit(limit).lossy_utf8(true).read_to_string()?;
    Ok((status, text))
}

/// Whether the same request may succeed a moment later.
pub(crate) fn is_transient(error: &ureq::Error) -> bool {
    use ureq::Error as E;
    let transient =
        matches!(error, E::Io(_) | E::Timeout(_) | E::HostNotFound | E::ConnectionFailed | E::Protocol(_));
    transient && !is_refused_certificate(error)
}

/// Whether the client does not trust the server's certificate.
pub(crate) fn is_refused_certificate(error: &ureq::Error) -> bool {
    let tls = match error {
        ureq::Error::Rustls(error) => Some(error),
        ureq::Error::Io(error) => error.get_ref().and_then(|inner| inner.downcast_ref()),
        _ => None,
    };
    matches!(tls, Some(rustls::Error::InvalidCertificate(_)))
}

/// Whether a request that got this status may succeed a moment later.
pub(crate) fn is_transient_status(status: u16) -> bool {
    status == 429 || status >= 500
}
