//! The servers for the experiments whose client is another program, such as an SDK.

use crate::outcome::Outcome;
use crate::upstream::Upstream;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use serde_json::Value;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::TcpListener;

/// The address on which the minimal server listens.
const ADDRESS: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 9100);

#[derive(Deserialize)]
pub(crate) struct Specification {
    listen: String,
    delay_ms: u64,
}

/// Runs the stand-in for Sentry until it is killed.
pub(crate) fn serve(specification: &Specification) -> Outcome<Value> {
    let delay = Duration::from_millis(specification.delay_ms);
    let _upstream = Upstream::start(&specification.listen, None, delay)?;
    loop {
        std::thread::park();
    }
}

/// Runs the minimal server until it is killed. It uses hyper on one thread, reads each body to its end and answers 200.
/// A server of this kind cannot do less, so the extension's response times are compared with it.
pub(crate) fn answer() -> Outcome<Value> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind(ADDRESS).await?;
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            // The clients check their responses, so an error of a connection is ignored here.
            tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service_fn(reply)));
        }
    })
}

async fn reply(request: Request<Incoming>) -> hyper::Result<Response<Full<Bytes>>> {
    let _body = request.into_body().collect().await?.to_bytes();
    Ok(Response::new(Full::from(&br#"{"id":"9ec79c33ec9942ab8353589fcb2e04dc"}"#[..])))
}
