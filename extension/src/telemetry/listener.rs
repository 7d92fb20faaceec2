//! The HTTP listener that Lambda posts telemetry to. It uses its own port and answers 200 to every request.
//!
//! Lambda reaches it as `sandbox.localdomain`, an address of the environment itself, so the socket is bound to all
//! addresses. That is safe, because nothing from outside can connect into an environment. Where there is no telemetry,
//! the socket is closed as soon as that is known.

use crate::active_timer::ActiveTimer;
use crate::{http, task};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::{Request, Response};
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::task::JoinHandle;

/// The largest body that is read, in bytes. The subscription asks for batches of 256 KiB, but records are longer on the
/// wire than in Lambda's buffer.
const MAX_BODY: usize = 4 << 20;
/// How long a body may take to arrive. Seconds.
const BODY_SECONDS: u64 = 10;
/// The number of connections that are served at once. Lambda uses one, but any process of the function may connect.
const MAX_CONNECTIONS: usize = 4;
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
    let open = Open::default();
    for number in 0.. {
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(PAUSE).await;
            continue;
        };
        let (sink, used, ended) = (sink.clone(), open.clone(), open.clone());
        let connection = task::spawn_boxed(Box::pin(async move {
            let answer = move |request| -> http::ResponseFuture {
                used.is_used(number);
                Box::pin(receive(request, sink.clone()))
            };
            // An error of a connection is ignored, because Lambda opens a new one.
            let _ = http::serve(Box::new(stream), Box::new(answer)).await;
            ended.remove(number);
        }));
        open.add(number, connection);
    }
}

/// The tasks of the open connections by number, the one that was used last at the end.
#[derive(Clone, Default)]
struct Open(Arc<Mutex<Vec<Connection>>>);

/// A connection's number and its task.
type Connection = (u64, JoinHandle<()>);

impl Open {
    /// Adds a connection. If it is one too many, it ends the one that was not used for the longest time: others than
    /// Lambda must not keep Lambda out.
    fn add(&self, number: u64, connection: JoinHandle<()>) {
        let mut open = self.tasks();
        if open.len() >= MAX_CONNECTIONS {
            open.remove(0).1.abort();
        }
        open.push((number, connection));
    }

    fn is_used(&self, number: u64) {
        if let Some(connection) = self.remove(number) {
            self.tasks().push((number, connection));
        }
    }

    fn remove(&self, number: u64) -> Option<JoinHandle<()>> {
        let mut open = self.tasks();
        let at = open.iter().position(|(one, _)| *one == number)?;
        Some(open.remove(at).1)
    }

    fn tasks(&self) -> MutexGuard<'_, Vec<Connection>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn receive(request: Request<Incoming>, sink: impl Fn(&[u8])) -> Response<http::ResponseBody> {
    let body = Limited::new(request.into_body(), MAX_BODY).collect();
    match ActiveTimer::new(BODY_SECONDS).wait(body).await {
        Some(Ok(body)) => sink(&body.to_bytes()),
        // It was too large, too slow, or ended too early. An empty batch is none that can be read, and is counted as
        // such.
        _ => sink(b""),
    }
    Response::new(http::ResponseBody::Whole(Full::default()))
}
