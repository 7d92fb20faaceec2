//! The HTTP server on localhost that SDKs send to. It responds at once: when the client gets status 200, the envelope
//! is in the queue.
//!
//! A request comes over a `connection`, which limits its time and its memory. `routes` reads its path, and `ingest` or
//! `forward` handles it. The handlers share a `request` context. `auth` reads who sends, and `project_auth` decides to
//! which project and upstream. `headers` builds the headers for upstream, and `response` builds what the client gets.
//! `query` and `media_type` are parsers.

mod auth;
mod connection;
mod forward;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod headers;
mod ingest;
mod media_type;
mod project_auth;
mod query;
mod request;
mod response;
mod routes;

pub use connection::listeners::{Unbound, bind, report};

use crate::config::Config;
use crate::guarded_stream::GuardedStream;
use crate::insights::Insights;
use crate::relay::Relay;
use crate::{http, log};
use connection::memory_budget::MemoryBudget;
use connection::stall_guard::{RequestPhase, StallGuard};
use hyper::body::{Body as _, Incoming};
use hyper::header::EXPECT;
use hyper::{Method, Request, StatusCode};
use request::RequestContext;
use response::rejection::Rejection;
use response::{Response, cors};
use routes::{Ingest, Route};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};

/// Accepts connections and serves each in a task of its own. Never returns.
pub async fn serve(
    listener: Arc<TcpListener>,
    config: Arc<Config>,
    relay: Relay,
    insights: Option<Insights>,
) {
    let services = Services { config, relay, insights };
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                // Each connection has its own task, so that a panic ends only this connection.
                tokio::spawn(serve_connection(stream, peer.ip(), services.clone()));
            }
            Err(error) => {
                // The file descriptors are probably used up. The function may close some during this pause.
                log::debug("cannot accept a connection", &[("error", &error)]);
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

/// The parts of the extension that requests need.
#[derive(Clone)]
struct Services {
    config: Arc<Config>,
    relay: Relay,
    insights: Option<Insights>,
}

async fn serve_connection(stream: TcpStream, peer: IpAddr, services: Services) {
    // Waits for the first byte with little memory. SDKs open connections that they use much later or never.
    if stream.peek(&mut [0]).await.is_ok() {
        Box::pin(serve_requests(stream, peer, services)).await;
    }
}

async fn serve_requests(stream: TcpStream, peer: IpAddr, services: Services) {
    // Responses are small. Without this the system would hold them back until the client acknowledges earlier data.
    let _ = stream.set_nodelay(true);
    serve_stream(stream, peer, services).await;
}

async fn serve_stream(stream: impl http::Stream + 'static, peer: IpAddr, services: Services) {
    let phase = RequestPhase::default();
    let stream = GuardedStream::new(stream, StallGuard::new(phase.clone()));
    let handler = move |request| -> http::ResponseFuture {
        let (services, phase) = (services.clone(), phase.clone());
        Box::pin(async move {
            phase.advance();
            let response = handle(request, peer, &services).await;
            phase.advance();
            response
        })
    };
    // Idle connections stay open. `stall_guard` and `body` limit the time of a request that a client has begun.
    if let Err(error) = http::serve(Box::new(stream), Box::new(handler)).await {
        log::debug("a client's connection ended early", &[("error", &error)]);
    }
}

async fn handle(request: Request<Incoming>, peer: IpAddr, services: &Services) -> Response {
    let Services { config, relay, insights } = services;
    let (head, mut body) = request.into_parts();
    let route = Route::of(head.uri.path());
    let memory = MemoryBudget::shared(config.buffer);
    let context = RequestContext { head: &head, peer, config, relay, memory, insights: insights.as_ref() };
    let outcome = dispatch(&context, route, &mut body).await;
    // Reads the rest of a refused body, so that the client sees the response and can use the connection again. A
    // client that sent `Expect` waits for permission to send its body. It gets none, so there is nothing to read.
    if !body.is_end_stream() && !head.headers.contains_key(EXPECT) {
        connection::body::discard(&mut body).await;
    }
    let response = outcome.unwrap_or_else(|rejection| rejection.to_response());
    let allows_any_origin = matches!(route, Route::Ingest(_)) && head.method != Method::OPTIONS;
    cors::allow_embedding(if allows_any_origin { cors::allow_any_origin(response) } else { response })
}

async fn dispatch(
    context: &RequestContext<'_>,
    route: Route<'_>,
    body: &mut Incoming,
) -> Result<Response, Rejection> {
    let method = &context.head.method;
    match route {
        Route::Ingest(_) if method == Method::OPTIONS => Ok(cors::preflight()),
        Route::Ingest(ingest) if accepts_method(&ingest, method) => {
            ingest::handle(context, ingest, body).await
        }
        Route::Ingest(ingest) => Ok(response::method_not_allowed(ingest.methods())),
        Route::Health if method == Method::GET || method == Method::HEAD => {
            Ok(response::json(StatusCode::OK, &b"{\"is_healthy\":true}"[..]))
        }
        Route::Health => Ok(response::method_not_allowed("GET, HEAD")),
        Route::BadHealth => Err(Rejection::bad_request("unknown health check")),
        Route::Forward => forward::handle(context, body).await,
        Route::Unknown => Err(Rejection::new(StatusCode::NOT_FOUND, "not found")),
    }
}

fn accepts_method(ingest: &Ingest<'_>, method: &Method) -> bool {
    ingest.methods().split(", ").any(|allowed| allowed == method.as_str())
}
