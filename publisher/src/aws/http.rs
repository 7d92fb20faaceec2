//! The one HTTP client: rustls on ring, proxies from the environment, every wait bounded.

use aws_sdk_lambda::config::{RuntimeComponents, SharedHttpClient, timeout::TimeoutConfig};
use aws_smithy_http_client::{Builder, Connector, proxy::ProxyConfig, tls};
use std::time::Duration;

const CONNECT: Duration = Duration::from_secs(5);
const READ: Duration = Duration::from_secs(30);
const OPERATION: Duration = Duration::from_secs(90);
/// What an upload may take beside the transfer itself: Lambda unpacks and checks the zip before it answers.
const UPLOAD_BASE: Duration = Duration::from_mins(1);
/// The slowest line that an upload is waited for.
const UPLOAD_BYTES_PER_SECOND: u64 = 256 * 1024;

/// Makes the client. It speaks plain HTTP as well, which endpoints on loopback do.
pub fn client() -> SharedHttpClient {
    Builder::new().build_with_connector_fn(|settings, components| {
        let mut builder = Connector::builder()
            .proxy_config(ProxyConfig::from_env())
            .tls_provider(tls::Provider::Rustls(tls::rustls_provider::CryptoMode::Ring));
        builder.set_connector_settings(settings.cloned());
        builder.set_sleep_impl(components.and_then(RuntimeComponents::sleep_impl));
        builder.build()
    })
}

/// Bounds for every call that carries next to nothing.
pub fn timeouts() -> TimeoutConfig {
    TimeoutConfig::builder()
        .connect_timeout(CONNECT)
        .read_timeout(READ)
        .operation_attempt_timeout(READ + CONNECT)
        .operation_timeout(OPERATION)
        .build()
}

/// Bounds for an upload of that many bytes: the HTTP client counts sending as part of waiting for the answer.
pub fn upload_timeouts(bytes: u64) -> TimeoutConfig {
    let limit = UPLOAD_BASE + Duration::from_secs(bytes / UPLOAD_BYTES_PER_SECOND);
    TimeoutConfig::builder()
        .connect_timeout(CONNECT)
        .read_timeout(limit)
        .operation_attempt_timeout(limit + CONNECT)
        .operation_timeout(limit + CONNECT)
        .build()
}
