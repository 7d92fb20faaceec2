//! Downloads the content of a link that AWS signed.

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
    #[error("the download has more than {0} bytes")]
    TooLarge(u64),
}

/// Downloads `link` and returns the sha256 of its content and the length in bytes. `timeout` bounds the wait for the
/// response head, and then the wait for each piece of the body.
pub(crate) async fn sha256(link: &str, timeout: Duration) -> Result<([u8; 32], u64), LinkError> {
    let mut hash = Sha256::new();
    let mut length = 0;
    read(link, timeout, |data| {
        length += data.len() as u64;
        hash.update(data);
        Ok(())
    })
    .await?;
    Ok((hash.finalize().into(), length))
}

/// Downloads `link` and returns its content, which may have at most `limit` bytes. `timeout` is that of `sha256`.
pub(crate) async fn bytes(link: &str, timeout: Duration, limit: u64) -> Result<Vec<u8>, LinkError> {
    let mut content: Vec<u8> = Vec::new();
    read(link, timeout, |data| {
        if (content.len() + data.len()) as u64 > limit {
            return Err(LinkError::TooLarge(limit));
        }
        content.extend_from_slice(data);
        Ok(())
    })
    .await?;
    Ok(content)
}

/// Downloads `link` and gives each piece of its content to `take`.
async fn read(
    link: &str,
    timeout: Duration,
    mut take: impl FnMut(&[u8]) -> Result<(), LinkError>,
) -> Result<(), LinkError> {
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
    loop {
        let frame = poll_fn(|context| Pin::new(&mut body).poll_frame(context));
        match tokio::time::timeout(timeout, frame).await {
            Err(_) => return Err(LinkError::Stalled),
            Ok(None) => return Ok(()),
            Ok(Some(Err(error))) => return Err(LinkError::Broken(error.to_string())),
            Ok(Some(Ok(frame))) => {
                take(&frame.into_data().unwrap_or_default())?;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        io::{Read, Write},
        net::TcpListener,
        thread,
    };

    #[tokio::test]
    async fn no_more_than_the_limit_is_kept() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let link = format!("http://{}/zip", listener.local_addr().unwrap());
        thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let _ = stream.read(&mut [0; 1024]).unwrap();
                stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nbytes").unwrap();
            }
        });
        let timeout = Duration::from_mins(2);
        assert_eq!(bytes(&link, timeout, 5).await.unwrap(), b"bytes");
        assert!(matches!(bytes(&link, timeout, 4).await, Err(LinkError::TooLarge(4))));
        assert_eq!(sha256(&link, timeout).await.unwrap().1, 5);
    }
}
