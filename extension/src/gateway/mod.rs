//! localhost: takes what SDKs send and answers at once. An envelope that was answered with 200 is in the queue.
//!
//! A request's way: `watch` (the connection) → `routes` → `ingest` or `forward`. What handlers share is a
//! `visit`; `body` and `room` bound what it holds; `auth` and `sender` say who sends to which project; `headers`
//! go upstream; `answer`, `refusal` and `cors` make what the client is told. The rest are formats.

mod answer;
mod auth;
mod body;
mod compose;
mod cors;
mod event_id;
mod form;
mod forward;
mod headers;
mod ingest;
mod listeners;
mod media_type;
mod msgpack;
mod multipart;
mod patience;
mod query;
mod refusal;
mod room;
mod routes;
mod sender;
mod visit;
mod watch;

pub use listeners::{Unbound, bind, report};

use crate::config::Config;
use crate::relay::Relay;
use crate::{http, log};
use answer::Answer;
use hyper::body::{Body as _, Incoming};
use hyper::header::EXPECT;
use hyper::{Method, Request, StatusCode};
use refusal::Refusal;
use room::Room;
use routes::{Ingest, Route};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use visit::Visit;
use watch::{Turn, Watched};

/// Takes connections for as long as the process lives.
pub async fn serve(listener: Arc<TcpListener>, config: Arc<Config>, relay: Relay) {
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                // In a task of its own: a panic while it is served ends this one connection.
                tokio::spawn(converse(stream, peer.ip(), Arc::clone(&config), relay.clone()));
            }
            Err(error) => {
                // Out of file descriptors, most likely: give the function time to let go of some.
                log::debug("cannot accept a connection", &[("error", &error)]);
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

async fn converse(stream: TcpStream, peer: IpAddr, config: Arc<Config>, relay: Relay) {
    // A connection that is held open for later costs next to nothing until it is used.
    if stream.peek(&mut [0]).await.is_ok() {
        Box::pin(converse_at_length(stream, peer, config, relay)).await;
    }
}

async fn converse_at_length(stream: TcpStream, peer: IpAddr, config: Arc<Config>, relay: Relay) {
    // Answers are small; without this they would wait for the client's acknowledgement.
    let _ = stream.set_nodelay(true);
    let turn = Turn::default();
    let stream = Watched::new(stream, turn.clone());
    let answer = move |request| -> http::Answering {
        let (config, relay, turn) = (Arc::clone(&config), relay.clone(), turn.clone());
        Box::pin(async move {
            turn.pass();
            let answer = answer(request, peer, &config, &relay).await;
            turn.pass();
            answer
        })
    };
    // Idle connections stay. What a client has begun has to come to an end, though: see `watch` and `body`.
    if let Err(error) = http::serve(Box::new(stream), Box::new(answer)).await {
        log::debug("a client's connection ended early", &[("error", &error)]);
    }
}

async fn answer(request: Request<Incoming>, peer: IpAddr, config: &Config, relay: &Relay) -> Answer {
    let (head, mut body) = request.into_parts();
    let route = Route::of(head.uri.path());
    let visit = Visit { head: &head, peer, config, relay, room: Room::shared(config.buffer) };
    let outcome = respond(&visit, route, &mut body).await;
    // What nobody wanted is read over, so that the client sees the answer and the connection lives on.
    // Who waits to be asked for his body is not asked.
    if !body.is_end_stream() && !head.headers.contains_key(EXPECT) {
        body::read_over(&mut body).await;
    }
    let answer = outcome.unwrap_or_else(|refusal| refusal.answer());
    let is_open = matches!(route, Route::Ingest(_)) && head.method != Method::OPTIONS;
    cors::loadable(if is_open { cors::open(answer) } else { answer })
}

async fn respond(visit: &Visit<'_>, route: Route<'_>, body: &mut Incoming) -> Result<Answer, Refusal> {
    let method = &visit.head.method;
    match route {
        Route::Ingest(_) if method == Method::OPTIONS => Ok(cors::preflight()),
        Route::Ingest(ingest) if takes(&ingest, method) => ingest::take(visit, ingest, body).await,
        Route::Ingest(ingest) => Ok(answer::method_not_allowed(ingest.methods())),
        Route::Health if method == Method::GET || method == Method::HEAD => {
            Ok(answer::json(StatusCode::OK, &b"{\"is_healthy\":true}"[..]))
        }
        Route::Health => Ok(answer::method_not_allowed("GET, HEAD")),
        Route::BadHealth => Err(Refusal::bad("unknown health check")),
        Route::Forward => forward::take(visit, body).await,
        Route::Unknown => Err(Refusal::new(StatusCode::NOT_FOUND, "not found")),
    }
}

fn takes(ingest: &Ingest<'_>, method: &Method) -> bool {
    ingest.methods().split(", ").any(|one| one == method.as_str())
}
