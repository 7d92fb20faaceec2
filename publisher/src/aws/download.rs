//! Downloads and hashes the content of a link that AWS signed.

use crate::{aws::http, failure::chain};
use aws_sdk_lambda::{config::http::HttpRequest, primitives::SdkBody};
use aws_smithy_runtime_api::client::http::HttpConnector;
use http_body::Body;
use sha2::{Digest, Sha256};
use std::{future::poll_fn, pin::Pin, time::Duration};

/// Why a download failed or is incomplete.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LinkError {
    /// The text is not a valid URL.
    #[error("the link cannot be used")]
    Link,
    /// No connection or no answer, or an answer with an HTTP status that is not a success.
    #[error("the download failed: {0}")]
    Refused(String),
    /// The connection broke before the end of the body.
    #[error("the connection broke during the download: {0}")]
    Broken(String),
    /// No data arrived within the timeout.
    #[error("the download stalled")]
    Stalled,
}

/// Downloads `link` and returns the sha256 of its content and the length in bytes. `timeout` bounds the wait for the
/// response head, and then the wait for each piece of the body.
pub(crate) async fn sha256(link: &str, timeout: Duration) -> Result<([u8; 32], u64), LinkError> {
    let mut request = HttpRequest::new(SdkBody::empty());
    request.set_uri(link).map_err(|_| LinkError::Link)?;
    let connector = http::download_connector();
    let answer = tokio::time::timeout(timeout, connector.call(request))
        .await
        .map_err(|_| LinkError::Stalled)?
        .map_err(|error| LinkError::Refused(chain(&error)))?;
    if !answer.status().is_success() {
        return Err(LinkError::Refused(format!("HTTP {}", answer.status().as_u16())));
    }
    let mut body = answer.into_body();
    let mut hash = Sha256::new();
    let mut length = 0;
    loop {
        let frame = poll_fn(|context| Pin::new(&mut body).poll_frame(context));
        match tokio::time::timeout(timeout, frame).await {
            Err(_) => return Err(LinkError::Stalled),
            Ok(None) => return Ok((hash.finalize().into(), length)),
            Ok(Some(Err(error))) => return Err(LinkError::Broken(error.to_string())),
            Ok(Some(Ok(frame))) => {
                let data = frame.into_data().unwrap_or_default();
                length += data.len() as u64;
                hash.update(&data);
            }
        }
    }
}
