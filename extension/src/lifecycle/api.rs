//! A client of Lambda's Extensions API, version 2020-01-01. It registers the extension and asks for the next event.
//! All calls use one connection that nothing else uses.
//!
//! <https://docs.aws.amazon.com/lambda/latest/dg/runtimes-extensions-api.html>

#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;

use super::event::Event;
use super::silence_guard::{ResponsePhase, SilenceGuard};
use crate::guarded_stream::GuardedStream;
use crate::http::{RequestSender, handshake};
use crate::telemetry::Subscribed;
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
/// The largest response body that is read, in bytes. Events have about 500 bytes.
const MAX_BODY: usize = 256 * 1024;
/// The longest time that a connect or a registration may take. `/event/next` has no such bound.
const CALL_TIMEOUT: Duration = Duration::from_secs(5);

/// The address of the API as `host:port`. This is the value of `AWS_LAMBDA_RUNTIME_API`.
#[derive(Clone, Debug)]
pub struct RuntimeApi(pub String);

/// The name to register under. It must be the base name of the extension's file, as Lambda refuses every other name.
#[derive(Clone, Debug)]
pub struct ExtensionName(pub String);

/// The identifier that Lambda returns at registration. Every later call must send it.
#[derive(Clone, Debug)]
pub struct ExtensionId(HeaderValue);

/// Why a call failed.
#[derive(Debug)]
pub enum ApiError {
    /// The connection to the API could not be opened.
    Connect(io::Error),
    /// The connection broke during the call.
    Http(hyper::Error),
    /// The API answered with this status instead of success. The text is the start of the body.
    Refused(u16, String),
    /// The response lacks a required part. The text names the part.
    Malformed(&'static str),
    /// The request cannot be built, because a header value is invalid.
    Request(hyper::http::Error),
    /// The API did not answer in time.
    TimedOut,
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connect(error) => write!(f, "cannot connect: {error}"),
            Self::Http(error) => error.fmt(f),
            Self::Refused(status, text) => write!(f, "status {status}: {text}"),
            Self::Malformed(what) => write!(f, "the response has no valid {what}"),
            Self::Request(error) => error.fmt(f),
            Self::TimedOut => f.write_str("no answer in time"),
        }
    }
}

/// The sets of events that this extension registers for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Events {
    /// One event for each invocation, and one when the environment ends.
    InvokeAndShutdown,
    /// Only the event when the environment ends. Lambda Managed Instances refuse INVOKE.
    ShutdownOnly,
}

/// A client of the Extensions API. It keeps its connection open between calls.
#[derive(Debug)]
pub struct ExtensionsApi {
    api: RuntimeApi,
    connection: Option<RequestSender>,
    phase: ResponsePhase,
}

impl ExtensionsApi {
    /// Creates the client. It connects at the first call.
    pub fn new(api: RuntimeApi) -> Self {
        Self { api, connection: None, phase: ResponsePhase::default() }
    }

    /// Registers the extension. From then on Lambda waits until this extension calls `/event/next`.
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
            // The body must be read to its end, or the connection could not be used again.
            read_body(response).await?;
            id.map(ExtensionId).ok_or(ApiError::Malformed(IDENTIFIER))
        };
        timeout(CALL_TIMEOUT, registering).await.unwrap_or(Err(ApiError::TimedOut))
    }

    /// Asks Lambda to post the platform's telemetry to this port, and what the function writes if `with_function` is
    /// true. The caller must bound the time.
    pub async fn subscribe(
        &mut self,
        id: &ExtensionId,
        events: Events,
        port: u16,
        with_function: bool,
    ) -> Result<Subscribed, ApiError> {
        // Managed Instances accept only the newer schema, and older regions do not know it.
        let schema = match events {
            Events::InvokeAndShutdown => "2022-12-13",
            Events::ShutdownOnly => "2025-01-29",
        };
        // These are the smallest buffers that Lambda accepts. Each millisecond of waiting for them is billed.
        let body = format!(
            concat!(
                r#"{{"schemaVersion":"{}","types":["platform"{}],"#,
                r#""buffering":{{"maxItems":1000,"maxBytes":262144,"timeoutMs":25}},"#,
                r#""destination":{{"protocol":"HTTP","URI":"http://sandbox.localdomain:{}"}}}}"#
            ),
            schema,
            if with_function { ",\"function\"" } else { "" },
            port
        );
        let request = Request::put("/2022-07-01/telemetry")
            .header(HOST, &self.api.0)
            .header(IDENTIFIER, id.0.clone())
            .header(CONTENT_TYPE, "application/json")
            .body(Full::from(body))
            .map_err(ApiError::Request)?;
        let response = self.call(request).await?;
        let subscribed = response.status() == StatusCode::OK;
        read_body(response).await?;
        Ok(if subscribed { Subscribed::Yes } else { Subscribed::NotSupported })
    }

    /// Waits for the next event without a bound, because the environment may be frozen for hours. A response that has
    /// begun must go on, though.
    /// Calls `on_sent` when the request has been handed to the connection.
    pub async fn next(&mut self, id: &ExtensionId, on_sent: impl FnOnce()) -> Result<Event, ApiError> {
        let request = Request::get("/2020-01-01/extension/event/next")
            .header(HOST, &self.api.0)
            .header(IDENTIFIER, id.0.clone())
            .body(Full::default())
            .map_err(ApiError::Request)?;
        let response = self.call_with(request, on_sent).await?;
        let body = read_body(response).await;
        self.phase.end();
        let body = body?;
        Event::parse(&body).ok_or(ApiError::Malformed("event"))
    }

    async fn call(
        &mut self,
        request: Request<Full<Bytes>>,
    ) -> Result<Response<hyper::body::Incoming>, ApiError> {
        self.call_with(request, || ()).await
    }

    async fn call_with(
        &mut self,
        request: Request<Full<Bytes>>,
        on_sent: impl FnOnce(),
    ) -> Result<Response<hyper::body::Incoming>, ApiError> {
        let mut connection = match self.connection.take().filter(|c| !c.is_closed()) {
            Some(connection) => connection,
            None => self.connect().await?,
        };
        connection.ready().await.map_err(ApiError::Http)?;
        self.phase.end();
        let sending = connection.send_request(request);
        // `send_request` has woken the connection's task. After the yield that task has written the request.
        tokio::task::yield_now().await;
        on_sent();
        let response = sending.await.map_err(ApiError::Http)?;
        let status = response.status();
        if !status.is_success() {
            let text = read_body(response).await.unwrap_or_default();
            self.phase.end();
            let text = String::from_utf8_lossy(&text).chars().take(300).collect();
            return Err(ApiError::Refused(status.as_u16(), text));
        }
        self.connection = Some(connection);
        Ok(response)
    }

    async fn connect(&self) -> Result<RequestSender, ApiError> {
        let connecting = TcpStream::connect(&self.api.0);
        let stream = timeout(CALL_TIMEOUT, connecting).await.map_err(|_| ApiError::TimedOut)?;
        let stream = stream.map_err(ApiError::Connect)?;
        let _ = stream.set_nodelay(true);
        let stream = GuardedStream::new(stream, SilenceGuard::new(self.phase.clone()));
        handshake(Box::new(stream)).await.map_err(ApiError::Http)
    }
}

async fn read_body(response: Response<hyper::body::Incoming>) -> Result<Bytes, ApiError> {
    let body = Limited::new(response.into_body(), MAX_BODY).collect().await;
    body.map(http_body_util::Collected::to_bytes).map_err(|_| ApiError::Malformed("body"))
}
