//! The bytes behind a link that AWS signed.

use crate::{aws::http, failure::chain};
use aws_sdk_lambda::{config::http::HttpRequest, primitives::SdkBody};
use aws_smithy_runtime_api::client::http::HttpConnector;
use http_body::Body;
use sha2::{Digest, Sha256};
use std::{future::poll_fn, pin::Pin, time::Duration};

/// No bytes, or not all of them.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LinkError {
    /// Not a link.
    #[error("the link cannot be used")]
    Link,
    /// Nobody answers, or somebody says no.
    #[error("the download failed: {0}")]
    Refused(String),
    /// It ended too early.
    #[error("the download broke off: {0}")]
    Broken(String),
    /// Nothing came for a long time.
    #[error("the download stalled")]
    Stalled,
}

/// The sha256 of what is behind a link, and its length. `timeout` is for each piece.
pub(crate) async fn sha256(link: &str, timeout: Duration) -> Result<([u8; 32], u64), LinkError> {
    let mut request = HttpRequest::new(SdkBody::empty());
    request.set_uri(link).map_err(|_| LinkError::Link)?;
    let connector = http::plain();
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
