//! The one HTTP client: rustls on ring, proxies from the environment, every wait bounded.

use crate::aws::ca_bundle::CaBundle;
use aws_sdk_lambda::config::{
    RuntimeComponents, SharedHttpClient, StalledStreamProtectionConfig, timeout::TimeoutConfig,
};
use aws_smithy_http_client::{
    Builder, Connector,
    proxy::ProxyConfig,
    tls::{self, TlsContext, TrustStore},
};
use std::time::Duration;

const CONNECT: Duration = Duration::from_secs(5);
/// What the pauses between attempts may add: so that the last attempt's own error is what is reported.
const PAUSES: Duration = Duration::from_secs(30);
/// The slowest line that an upload is waited for.
const UPLOAD_BYTES_PER_SECOND: u64 = 256 * 1024;

/// Makes the client. It speaks plain HTTP as well, which endpoints on loopback do.
pub(crate) fn client(bundle: Option<CaBundle>) -> SharedHttpClient {
    Builder::new().build_with_connector_fn(move |settings, components| {
        let mut builder = Connector::builder().proxy_config(ProxyConfig::from_env()).tls_provider(tls());
        builder.set_tls_context(trusting(bundle.as_ref()));
        builder.set_connector_settings(settings.cloned());
        builder.set_sleep_impl(components.and_then(RuntimeComponents::sleep_impl));
        builder.build()
    })
}

/// A connection for what is fetched beside the SDK: links that carry their own signature.
pub(crate) fn plain() -> Connector {
    let mut builder = Connector::builder().proxy_config(ProxyConfig::from_env()).tls_provider(tls());
    // Whoever signs in has been told of a bundle that cannot be read.
    builder.set_tls_context(trusting(CaBundle::from_env().ok().flatten().as_ref()));
    builder.build()
}

fn trusting(bundle: Option<&CaBundle>) -> TlsContext {
    let Some(CaBundle(pem)) = bundle else { return TlsContext::default() };
    let store = TrustStore::empty().with_pem_certificate(pem.clone());
    // Nothing of it is checked before it is used.
    TlsContext::builder().with_trust_store(store).build().unwrap_or_default()
}

fn tls() -> tls::Provider {
    tls::Provider::Rustls(tls::rustls_provider::CryptoMode::Ring)
}

/// How long to wait for an answer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timeouts {
    answer: Duration,
}

impl Timeouts {
    /// At most so many seconds for one answer.
    pub(crate) fn seconds(seconds: u64) -> Self {
        Self { answer: Duration::from_secs(seconds.max(1)) }
    }

    /// The longest wait for one answer.
    pub(crate) fn answer(self) -> Duration {
        self.answer
    }

    fn connect(self) -> Duration {
        CONNECT.min(self.answer)
    }

    /// Bounds for every call that carries next to nothing: to connect, for an answer, for all its attempts.
    pub(crate) fn calls(self) -> TimeoutConfig {
        TimeoutConfig::builder()
            .connect_timeout(self.connect())
            .read_timeout(self.answer)
            .operation_attempt_timeout(self.answer + self.connect())
            .operation_timeout(3 * self.answer + PAUSES)
            .build()
    }

    /// Bounds for an upload: the HTTP client counts sending as part of waiting for the answer, and Lambda
    /// unpacks and checks the zip before it answers.
    pub(crate) fn upload(self, bytes: u64) -> TimeoutConfig {
        let limit = 2 * self.answer + Duration::from_secs(bytes / UPLOAD_BYTES_PER_SECOND);
        TimeoutConfig::builder()
            .connect_timeout(self.connect())
            .read_timeout(limit)
            .operation_attempt_timeout(limit + self.connect())
            .operation_timeout(limit + self.connect())
            .build()
    }

    /// What ends an upload that nobody reads any more, long before its time is over.
    pub(crate) fn stalled(self) -> StalledStreamProtectionConfig {
        StalledStreamProtectionConfig::enabled().grace_period(self.answer).build()
    }
}
