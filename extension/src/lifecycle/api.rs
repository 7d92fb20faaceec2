//! The Extensions API, version 2020-01-01: register, and ask for the next event. One connection, ours alone.
//!
//! <https://docs.aws.amazon.com/lambda/latest/dg/runtimes-extensions-api.html>

use super::event::Event;
use crate::http::{RequestSender, handshake};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::header::{CONTENT_TYPE, HOST, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use std::time::Duration;
use std::{fmt, io};
use tokio::net::TcpStream;
use tokio::time::timeout;

const NAME: &str = "lambda-extension-name";
const IDENTIFIER: &str = "lambda-extension-identifier";
const FEATURES: &str = "lambda-extension-accept-feature";
/// Events are some 500 bytes.
const MAX_BODY: usize = 256 * 1024;
/// Of everything but `/event/next`, which has none.
const PATIENCE: Duration = Duration::from_secs(5);

/// Where the API is: the value of `AWS_LAMBDA_RUNTIME_API`, `host:port`.
#[derive(Clone, Debug)]
pub struct RuntimeApi(pub String);

/// The file's base name: Lambda refuses every other.
#[derive(Clone, Debug)]
pub struct ExtensionName(pub String);

/// What registration gives, and every later call shows.
#[derive(Clone, Debug)]
pub struct ExtensionId(HeaderValue);

/// Why a call failed.
#[derive(Debug)]
pub enum ApiError {
    /// The API could not be reached.
    Connect(io::Error),
    /// The connection broke.
    Http(hyper::Error),
    /// The API said no, with this status and these words.
    Refused(u16, String),
    /// An answer without what it must have.
    Malformed(&'static str),
    /// The request cannot be built.
    Request(hyper::http::Error),
    /// No answer in time.
    TimedOut,
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connect(error) => write!(f, "cannot connect: {error}"),
            Self::Http(error) => error.fmt(f),
            Self::Refused(status, text) => write!(f, "status {status}: {text}"),
            Self::Malformed(what) => write!(f, "the answer has no valid {what}"),
            Self::Request(error) => error.fmt(f),
            Self::TimedOut => f.write_str("no answer in time"),
        }
    }
}

/// The kinds of events that an extension can ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Events {
    /// Each invocation, and the end.
    InvokeAndShutdown,
    /// The end alone: Lambda Managed Instances refuse INVOKE.
    ShutdownOnly,
}

/// What became of a subscription to telemetry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subscribed {
    /// Records will come.
    Yes,
    /// An emulator took the request and will do nothing.
    NotSupported,
}

/// A client of the Extensions API.
#[derive(Debug)]
pub struct ExtensionsApi {
    api: RuntimeApi,
    connection: Option<RequestSender>,
}

impl ExtensionsApi {
    /// Does not connect yet.
    pub fn new(api: RuntimeApi) -> Self {
        Self { api, connection: None }
    }

    /// Registers; from here on Lambda waits for this extension's `/event/next`.
    pub async fn register(&mut self, name: &ExtensionName, events: Events) -> Result<ExtensionId, ApiError> {
        let body = match events {
            Events::InvokeAndShutdown => r#"{"events":["INVOKE","SHUTDOWN"]}"#,
            Events::ShutdownOnly => r#"{"events":["SHUTDOWN"]}"#,
        };
        let request = Request::builder()
            .method(Method::POST)
            .uri("/2020-01-01/extension/register")
            .header(HOST, &self.api.0)
            .header(NAME, &name.0)
            .header(FEATURES, "accountId")
            .header(CONTENT_TYPE, "application/json")
            .body(Full::new(Bytes::from_static(body.as_bytes())))
            .map_err(ApiError::Request)?;
        let registering = async {
            let response = self.call(request).await?;
            let id = response.headers().get(IDENTIFIER).cloned();
            // To its end, or the connection could not be used again.
            read(response).await?;
            id.map(ExtensionId).ok_or(ApiError::Malformed(IDENTIFIER))
        };
        timeout(PATIENCE, registering).await.unwrap_or(Err(ApiError::TimedOut))
    }

    /// Subscribes to the platform's telemetry, to be posted to this port. The caller bounds the time.
    pub async fn subscribe(
        &mut self,
        id: &ExtensionId,
        events: Events,
        port: u16,
    ) -> Result<Subscribed, ApiError> {
        // Managed Instances insist on their schema; older regions do not know it.
        let schema = match events {
            Events::InvokeAndShutdown => "2022-12-13",
            Events::ShutdownOnly => "2025-01-29",
        };
        // The smallest buffers that Lambda accepts: each millisecond in them is billed.
        let body = format!(
            r#"{{"schemaVersion":"{schema}","types":["platform"],"buffering":{{"maxItems":1000,"maxBytes":262144,"timeoutMs":25}},"destination":{{"protocol":"HTTP","URI":"http://sandbox.localdomain:{port}"}}}}"#
        );
        let request = Request::put("/2022-07-01/telemetry")
            .header(HOST, &self.api.0)
            .header(IDENTIFIER, id.0.clone())
            .header(CONTENT_TYPE, "application/json")
            .body(Full::from(body))
            .map_err(ApiError::Request)?;
        let response = self.call(request).await?;
        let subscribed = response.status() == StatusCode::OK;
        read(response).await?;
        Ok(if subscribed { Subscribed::Yes } else { Subscribed::NotSupported })
    }

    /// Waits for the next event, however long that takes: the environment may be frozen for hours. `asked` is
    /// called once the question is on its way.
    pub async fn next(&mut self, id: &ExtensionId, asked: impl FnOnce()) -> Result<Event, ApiError> {
        let request = Request::get("/2020-01-01/extension/event/next")
            .header(HOST, &self.api.0)
            .header(IDENTIFIER, id.0.clone())
            .body(Full::default())
            .map_err(ApiError::Request)?;
        let response = self.call_and(request, asked).await?;
        let body = read(response).await?;
        Event::parse(&body).ok_or(ApiError::Malformed("event"))
    }

    async fn call(
        &mut self,
        request: Request<Full<Bytes>>,
    ) -> Result<Response<hyper::body::Incoming>, ApiError> {
        self.call_and(request, || ()).await
    }

    async fn call_and(
        &mut self,
        request: Request<Full<Bytes>>,
        asked: impl FnOnce(),
    ) -> Result<Response<hyper::body::Incoming>, ApiError> {
        let mut connection = match self.connection.take().filter(|c| !c.is_closed()) {
            Some(connection) => connection,
            None => self.connect().await?,
        };
        connection.ready().await.map_err(ApiError::Http)?;
        let sending = connection.send_request(request);
        // That has woken the connection's own task, which writes before this one is its turn again.
        tokio::task::yield_now().await;
        asked();
        let response = sending.await.map_err(ApiError::Http)?;
        let status = response.status();
        if !status.is_success() {
            let text = read(response).await.unwrap_or_default();
            let text = String::from_utf8_lossy(&text).chars().take(300).collect();
            return Err(ApiError::Refused(status.as_u16(), text));
        }
        self.connection = Some(connection);
        Ok(response)
    }

    async fn connect(&self) -> Result<RequestSender, ApiError> {
        let connecting = TcpStream::connect(&self.api.0);
        let stream = timeout(PATIENCE, connecting).await.map_err(|_| ApiError::TimedOut)?;
        let stream = stream.map_err(ApiError::Connect)?;
        let _ = stream.set_nodelay(true);
        handshake(Box::new(stream)).await.map_err(ApiError::Http)
    }
}

async fn read(response: Response<hyper::body::Incoming>) -> Result<Bytes, ApiError> {
    let body = Limited::new(response.into_body(), MAX_BODY).collect().await;
    body.map(http_body_util::Collected::to_bytes).map_err(|_| ApiError::Malformed("body"))
}
