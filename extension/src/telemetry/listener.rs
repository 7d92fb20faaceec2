//! Where Lambda posts telemetry: HTTP on a socket of its own. It answers 200 to everything.
//!
//! Lambda reaches it as `sandbox.localdomain`, an address of the environment itself, so it binds all addresses: nothing
//! from outside gets into an environment. Elsewhere the socket closes as soon as telemetry turns out to be absent.

use super::record::Record;
use crate::http;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::{Request, Response};
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;

/// A batch was asked to be at most 256 KiB of records; escaped, and with what is around them, they are longer.
const MAX_BODY: usize = 4 << 20;
/// Lambda uses one.
const MAX_CONNECTIONS: usize = 8;
/// Between failed accepts, when there are no file descriptors left.
const PAUSE: Duration = Duration::from_millis(100);

/// A socket on a free port. Connections wait in the kernel until it is served.
pub(super) fn bind() -> io::Result<TcpListener> {
    let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0))?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// Hands every known record to `sink`, for as long as the process lives.
pub(super) async fn serve(
    listener: Arc<tokio::net::TcpListener>,
    sink: impl Fn(Vec<Record>) + Clone + Send + Sync + 'static,
) {
    let slots = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        // The semaphore is never closed.
        let Ok(slot) = Arc::clone(&slots).acquire_owned().await else { return };
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(PAUSE).await;
            continue;
        };
        let sink = sink.clone();
        tokio::spawn(async move {
            let answer = move |request| -> http::Answering { Box::pin(take(request, sink.clone())) };
            // How it ends is the sender's affair.
            let _ = http::serve(Box::new(stream), Box::new(answer)).await;
            drop(slot);
        });
    }
}

async fn take(request: Request<Incoming>, sink: impl Fn(Vec<Record>)) -> Response<Full<Bytes>> {
    if let Ok(body) = Limited::new(request.into_body(), MAX_BODY).collect().await {
        sink(Record::batch(&body.to_bytes()));
    }
    Response::new(Full::default())
}
