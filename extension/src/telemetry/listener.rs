//! The HTTP listener that Lambda posts telemetry to. It uses its own port and answers 200 to every request.
//!
//! Lambda reaches it as `sandbox.localdomain`, an address of the environment itself, so the socket is bound to all
//! addresses. That is safe, because nothing from outside can connect into an environment. Where there is no telemetry,
//! the socket is closed as soon as that is known.

use crate::{http, task};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::{Request, Response};
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;

/// The largest body that is read, in bytes. The subscription asks for batches of 256 KiB, but records are longer on the
/// wire than in Lambda's buffer.
const MAX_BODY: usize = 4 << 20;
/// The number of connections that are served at once. Lambda uses one.
const MAX_CONNECTIONS: usize = 8;
/// The pause after a failed accept, which happens when the process has no file descriptors left.
const PAUSE: Duration = Duration::from_millis(100);

/// Binds a socket to a free port. Connections wait in the kernel until `serve` accepts them.
pub(super) fn bind() -> io::Result<TcpListener> {
    let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0))?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// Accepts connections as long as the process lives, and passes each batch to `sink`.
pub(super) async fn serve(
    listener: Arc<tokio::net::TcpListener>,
    sink: impl Fn(&[u8]) + Clone + Send + Sync + 'static,
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
        task::spawn(async move {
            let answer = move |request| -> http::ResponseFuture { Box::pin(receive(request, sink.clone())) };
            // An error of a connection is ignored, because Lambda opens a new one.
            let _ = http::serve(Box::new(stream), Box::new(answer)).await;
            drop(slot);
        });
    }
}

async fn receive(request: Request<Incoming>, sink: impl Fn(&[u8])) -> Response<http::ResponseBody> {
    match Limited::new(request.into_body(), MAX_BODY).collect().await {
        Ok(body) => sink(&body.to_bytes()),
        // It was too large or ended too early. An empty batch is none that can be read, and is counted as such.
        Err(_) => sink(b""),
    }
    Response::new(http::ResponseBody::Whole(Full::default()))
}
