//! localhost: takes what SDKs send and answers at once. An envelope that was answered with 200 is in the queue.
//!
//! A request comes over a `connection`, which bounds its time and its memory. `routes` sends it to `ingest` or to
//! `forward`, whose handlers share a `request` context. `auth` and `project_auth` say who sends to which project,
//! `headers` go upstream, and `response` is what the client is told. The rest reads queries and media types.

mod auth;
mod connection;
mod forward;
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
use crate::insights::Insights;
use crate::relay::Relay;
use crate::{http, log};
use connection::memory_budget::MemoryBudget;
use connection::stall_guard::{GuardedStream, RequestPhase};
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

/// Takes connections for as long as the process lives.
pub async fn serve(
    listener: Arc<TcpListener>,
    config: Arc<Config>,
    relay: Relay,
    insights: Option<Insights>,
) {
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                // In a task of its own: a panic while it is served ends this one connection.
                let means = (Arc::clone(&config), relay.clone(), insights.clone());
                tokio::spawn(converse(stream, peer.ip(), means));
            }
            Err(error) => {
                // Out of file descriptors, most likely: give the function time to let go of some.
                log::debug("cannot accept a connection", &[("error", &error)]);
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

/// What a connection needs to answer requests.
type Means = (Arc<Config>, Relay, Option<Insights>);

async fn converse(stream: TcpStream, peer: IpAddr, means: Means) {
    // A connection that is held open for later costs next to nothing until it is used.
    if stream.peek(&mut [0]).await.is_ok() {
        Box::pin(converse_at_length(stream, peer, means)).await;
    }
}

async fn converse_at_length(stream: TcpStream, peer: IpAddr, means: Means) {
    // Answers are small; without this they would wait for the client's acknowledgement.
    let _ = stream.set_nodelay(true);
    let phase = RequestPhase::default();
    let stream = GuardedStream::new(stream, phase.clone());
    let answer = move |request| -> http::Answering {
        let (means, phase) = (means.clone(), phase.clone());
        Box::pin(async move {
            phase.pass();
            let response = handle(request, peer, &means).await;
            phase.pass();
            response
        })
    };
    // Idle connections stay. What a client has begun has to come to an end, though: see `stall_guard` and `body`.
    if let Err(error) = http::serve(Box::new(stream), Box::new(answer)).await {
        log::debug("a client's connection ended early", &[("error", &error)]);
    }
}

async fn handle(request: Request<Incoming>, peer: IpAddr, means: &Means) -> Response {
    let (config, relay, insights) = means;
    let (head, mut body) = request.into_parts();
    let route = Route::of(head.uri.path());
    let memory = MemoryBudget::shared(config.buffer);
    let context = RequestContext { head: &head, peer, config, relay, memory, insights: insights.as_ref() };
    let outcome = dispatch(&context, route, &mut body).await;
    // What nobody wanted is read over, so that the client sees the answer and the connection lives on.
    // Who waits to be asked for his body is not asked.
    if !body.is_end_stream() && !head.headers.contains_key(EXPECT) {
        connection::body::read_over(&mut body).await;
    }
    let response = outcome.unwrap_or_else(|rejection| rejection.to_response());
    let is_open = matches!(route, Route::Ingest(_)) && head.method != Method::OPTIONS;
    cors::loadable(if is_open { cors::open(response) } else { response })
}

async fn dispatch(
    context: &RequestContext<'_>,
    route: Route<'_>,
    body: &mut Incoming,
) -> Result<Response, Rejection> {
    let method = &context.head.method;
    match route {
        Route::Ingest(_) if method == Method::OPTIONS => Ok(cors::preflight()),
        Route::Ingest(ingest) if takes(&ingest, method) => ingest::take(context, ingest, body).await,
        Route::Ingest(ingest) => Ok(response::method_not_allowed(ingest.methods())),
        Route::Health if method == Method::GET || method == Method::HEAD => {
            Ok(response::json(StatusCode::OK, &b"{\"is_healthy\":true}"[..]))
        }
        Route::Health => Ok(response::method_not_allowed("GET, HEAD")),
        Route::BadHealth => Err(Rejection::bad("unknown health check")),
        Route::Forward => forward::take(context, body).await,
        Route::Unknown => Err(Rejection::new(StatusCode::NOT_FOUND, "not found")),
    }
}

fn takes(ingest: &Ingest<'_>, method: &Method) -> bool {
    ingest.methods().split(", ").any(|one| one == method.as_str())
}
