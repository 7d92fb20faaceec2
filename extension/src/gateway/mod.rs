//! localhost: takes what SDKs send and answers at once. An envelope that was answered with 200 is in the queue.

mod answer;
mod auth;
mod body;
mod intake;
mod listeners;
mod routes;
mod store;

pub use listeners::{Unbound, bind, report};

use crate::config::Config;
use crate::log;
use crate::relay::Relay;
use answer::Answer;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use routes::Route;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};

/// Request heads larger than this are refused (431).
const MAX_HEAD: usize = 64 * 1024;

/// Takes connections for as long as the process lives.
pub async fn serve(listener: TcpListener, config: Arc<Config>, relay: Relay) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                tokio::spawn(converse(stream, Arc::clone(&config), relay.clone()));
            }
            Err(error) => {
                // Out of file descriptors, most likely: give the function time to let go of some.
                log::debug("cannot accept a connection", &[("error", &error)]);
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

async fn converse(stream: TcpStream, config: Arc<Config>, relay: Relay) {
    // Answers are small; without this they would wait for the client's acknowledgement.
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request| {
        let (config, relay) = (Arc::clone(&config), relay.clone());
        async move { Ok::<_, Infallible>(route(request, &config, &relay).await) }
    });
    // No time-out on idle connections: an SDK's pooled connection has to survive the freeze between
    // two invocations, and a close that crosses its next request would lose that event.
    let served = http1::Builder::new()
        .half_close(true)
        .max_buf_size(MAX_HEAD)
        .serve_connection(TokioIo::new(stream), service)
        .await;
    if let Err(error) = served {
        log::debug("a client's connection ended early", &[("error", &error)]);
    }
}

async fn route(request: Request<Incoming>, config: &Config, relay: &Relay) -> Answer {
    let route = Route::of(request.uri().path());
    let method = request.method();
    match route {
        Route::Tunnel if method == Method::POST => intake::envelope(request, None, config, relay).await,
        Route::Envelope(project) if method == Method::POST => {
            intake::envelope(request, Some(project), config, relay).await
        }
        Route::Store(project) if method == Method::POST => {
            intake::store(request, project, config, relay).await
        }
        Route::Health if method == Method::GET || method == Method::HEAD => {
            answer::json(StatusCode::OK, &b"{\"is_healthy\":true}"[..])
        }
        Route::Tunnel | Route::Envelope(_) | Route::Store(_) => answer::method_not_allowed("POST"),
        Route::Health => answer::method_not_allowed("GET, HEAD"),
        Route::BadProject => answer::refused(StatusCode::BAD_REQUEST, "bad project path parameter"),
        Route::BadHealth => answer::refused(StatusCode::BAD_REQUEST, "unknown health check"),
        Route::Unknown => answer::refused(StatusCode::NOT_FOUND, "not found"),
    }
}
