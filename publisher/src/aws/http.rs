//! The HTTP client of all AWS calls. It uses rustls with ring, takes proxies from the environment, and bounds every
//! wait.

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

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// The time that the pauses between attempts may add. With this allowance the operation timeout does not hide the
/// error of the last attempt.
const RETRY_PAUSES: Duration = Duration::from_secs(30);
/// The slowest line for which an upload's timeout allows enough time.
const UPLOAD_BYTES_PER_SECOND: u64 = 256 * 1024;

/// Creates the client. It also speaks plain HTTP, which endpoints on loopback use. If `bundle` is given, only its
/// certificate authorities are trusted.
pub(crate) fn client(bundle: Option<CaBundle>) -> SharedHttpClient {
    Builder::new().build_with_connector_fn(move |settings, components| {
        let mut builder = Connector::builder().proxy_config(ProxyConfig::from_env()).tls_provider(tls());
        builder.set_tls_context(trusting(bundle.as_ref()));
        builder.set_connector_settings(settings.cloned());
        builder.set_sleep_impl(components.and_then(RuntimeComponents::sleep_impl));
        builder.build()
    })
}

/// A connector for downloads outside the SDK, from links that carry their own signature.
pub(crate) fn download_connector() -> Connector {
    let mut builder = Connector::builder().proxy_config(ProxyConfig::from_env()).tls_provider(tls());
    // A bundle that cannot be read has been reported when the session was opened.
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

/// The timeouts of AWS calls. All of them follow from the longest wait for one answer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timeouts {
    answer: Duration,
}

impl Timeouts {
    /// Sets the longest wait for one answer, in seconds. Zero counts as one.
    pub(crate) fn seconds(seconds: u64) -> Self {
        Self { answer: Duration::from_secs(seconds.max(1)) }
    }

    pub(crate) fn answer(self) -> Duration {
        self.answer
    }

    fn connect(self) -> Duration {
        CONNECT_TIMEOUT.min(self.answer)
    }

    /// Timeouts for calls with a small body: for connecting, for one answer, and for all attempts together.
    pub(crate) fn calls(self) -> TimeoutConfig {
        TimeoutConfig::builder()
            .connect_timeout(self.connect())
            .read_timeout(self.answer)
            .operation_attempt_timeout(self.answer + self.connect())
            .operation_timeout(3 * self.answer + RETRY_PAUSES)
            .build()
    }

    /// Timeouts for an upload of this many bytes. The HTTP client counts sending as part of the wait for the answer,
    /// and Lambda unpacks and checks the zip before it answers.
    pub(crate) fn upload(self, bytes: u64) -> TimeoutConfig {
        let limit = self.unwatched_upload(bytes);
        TimeoutConfig::builder()
            .connect_timeout(self.connect())
            .read_timeout(limit)
            .operation_attempt_timeout(limit + self.connect())
            .operation_timeout(limit + self.connect())
            .build()
    }

    /// The longest wait for an upload whose progress cannot be observed.
    pub(crate) fn unwatched_upload(self, bytes: u64) -> Duration {
        2 * self.answer + Duration::from_secs(bytes / UPLOAD_BYTES_PER_SECOND)
    }

    /// Timeouts for an upload that `UploadProgress` watches. Only connecting has a time limit, because a slow upload
    /// that still moves must not be given up.
    pub(crate) fn watched_upload(self) -> TimeoutConfig {
        TimeoutConfig::builder()
            .connect_timeout(self.connect())
            .disable_read_timeout()
            .disable_operation_attempt_timeout()
            .disable_operation_timeout()
            .build()
    }

    /// The protection that ends a transfer soon after the server stops reading, long before the operation times out.
    pub(crate) fn stalled_stream_protection(self) -> StalledStreamProtectionConfig {
        StalledStreamProtectionConfig::enabled().grace_period(self.answer).build()
    }
}
