//! The HTTP server on localhost that SDKs send to. It responds at once: when the client gets status 200, the envelope
//! is in the queue.
//!
//! A request comes over a `connection`, which limits its time and its memory. `routes` reads its path, and `ingest` or
//! `forward` handles it. The handlers share a `request` context. `auth` reads who sends, and `project_auth` decides to
//! which project and upstream. `headers` builds the headers for upstream, and `response` builds what the client gets.
//! `host_check` reads the host that a request was sent to. `query` and `media_type` are parsers. `otlp` handles the
//! requests of OpenTelemetry, which come to a port of their own.

mod auth;
pub(crate) mod connection;
mod forward;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
pub(crate) mod headers;
mod host_check;
mod ingest;
mod media_type;
mod otlp;
mod project_auth;
mod query;
mod request;
mod response;
mod routes;

pub use connection::listeners::{Sockets, Unbound, bind, report};
pub use otlp::Otlp;

use crate::config::Config;
use crate::insights::Insights;
use crate::relay::{RefusalReason, Relay};
use crate::{hop_marker, http, log, task};
use connection::clients::{Clients, Connection};
use connection::memory_budget::MemoryBudget;
use hyper::body::{Body as _, Incoming};
use hyper::header::EXPECT;
use hyper::{Method, Request, StatusCode};
use request::{Peer, RequestContext};
use response::rejection::Rejection;
use response::{Response, cors};
use routes::{Ingest, Route};
use std::future::poll_fn;
use std::net::IpAddr;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};

/// What a listener serves.
#[derive(Clone, Debug)]
pub enum Api {
    /// The API of Sentry's Relay, for Sentry's SDKs.
    Sentry,
    /// OTLP, for those of OpenTelemetry.
    Otlp(Otlp),
}

/// Accepts connections and serves each in a task of its own. Never returns.
pub async fn serve(
    listener: Arc<TcpListener>,
    api: Api,
    config: Arc<Config>,
    relay: Relay,
    insights: Option<Insights>,
) {
    let services = Services { api, config, relay, insights };
    let clients = Clients::shared();
    let memory = MemoryBudget::shared(services.config.buffer);
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                let connection = clients.admit(&|| memory.give_up_silent()).await;
                // Each connection has its own task, so that a panic ends only this connection.
                task::spawn(serve_connection(stream, peer.ip(), connection, services.clone()));
            }
            Err(error) => {
                // The file descriptors are probably used up. An idle client gives one back, or the function does.
                clients.close_idle();
                log::debug("cannot accept a connection", &[("error", &error)]);
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

/// The parts of the extension that requests need.
#[derive(Clone)]
struct Services {
    api: Api,
    config: Arc<Config>,
    relay: Relay,
    insights: Option<Insights>,
}

async fn serve_connection(stream: TcpStream, peer: IpAddr, mut connection: Connection, services: Services) {
    // Waits for the first byte with little memory. SDKs open connections that they use much later or never.
    let mut byte = [0];
    let is_closed =
        poll_fn(
            |context| {
                if connection.is_closing(context.waker()) { Poll::Ready(()) } else { Poll::Pending }
            },
        );
    tokio::select! {
        biased;
        peeked = stream.peek(&mut byte) => if peeked.is_err() { return },
        () = is_closed => return,
    }
    Box::pin(serve_requests(stream, peer, connection, services)).await;
}

async fn serve_requests(stream: TcpStream, peer: IpAddr, connection: Connection, services: Services) {
    let peer = Peer::of(&stream, peer);
    let relay = services.relay.clone();
    let state = Arc::clone(connection.state());
    let stream = connection::guarded(stream, connection);
    let handler = move |request| -> http::ResponseFuture {
        let (services, state) = (services.clone(), Arc::clone(&state));
        Box::pin(async move {
            state.advance();
            let response = handle(request, peer, &services).await;
            state.advance();
            response
        })
    };
    // Idle connections stay open. `stall_guard` and `body` limit the time of a request that a client has begun.
    if let Err(error) = http::serve(stream, Box::new(handler)).await {
        if error.is_parse() || error.is_parse_too_large() {
            response::rejection::count_unreadable(&relay, &error);
        } else {
            log::debug("a client's connection ended early", &[("error", &error)]);
        }
    }
}

async fn handle(request: Request<Incoming>, peer: Peer, services: &Services) -> Response {
    let Services { api, config, relay, insights } = services;
    let (head, mut body) = request.into_parts();
    let route = Route::of(head.uri.path());
    let memory = MemoryBudget::shared(config.buffer);
    let context = RequestContext { head: &head, peer, config, relay, memory, insights: insights.as_ref() };
    let outcome = if hop_marker::is_own(&head.headers) {
        Err(Rejection::of_loop(host_check::written_host(&head)))
    } else {
        match api {
            Api::Sentry => dispatch(&context, route, &mut body).await,
            // Boxed, so that other requests need no memory for it.
            Api::Otlp(otlp) => Box::pin(otlp.handle(&context, &mut body)).await,
        }
    };
    // Reads the rest of a refused body, so that the client sees the response and can use the connection again. A
    // client that sent `Expect` waits for permission to send its body. It gets none, so there is nothing to read. A
    // client that is refused because it holds too much, or holds it for too long, is not waited for.
    let ends = [StatusCode::REQUEST_TIMEOUT, StatusCode::SERVICE_UNAVAILABLE];
    let is_cut = outcome.as_ref().is_err_and(|why| ends.contains(&why.status));
    if !body.is_end_stream() && !is_cut && !head.headers.contains_key(EXPECT) {
        connection::body::discard(&mut body).await;
    }
    if let Api::Otlp(_) = api {
        return outcome.unwrap_or_else(|rejection| otlp::refused(&rejection, &head.headers, relay));
    }
    let response = outcome.unwrap_or_else(|rejection| rejection.answer(relay));
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
        Route::Ingest(ingest) => Err(Rejection::method_not_allowed(ingest.methods())),
        Route::Health if method == Method::GET || method == Method::HEAD => {
            Ok(response::json(StatusCode::OK, &b"{\"is_healthy\":true}"[..]))
        }
        Route::Health => Err(Rejection::method_not_allowed("GET, HEAD")),
        Route::BadHealth => {
            Err(Rejection::bad_request("unknown health check").for_reason(RefusalReason::Path))
        }
        Route::Forward => forward::handle(context, body).await,
        Route::Unknown => Err(Rejection::new(StatusCode::NOT_FOUND, "not found")),
    }
}

fn accepts_method(ingest: &Ingest<'_>, method: &Method) -> bool {
    ingest.methods().split(", ").any(|allowed| allowed == method.as_str())
}
