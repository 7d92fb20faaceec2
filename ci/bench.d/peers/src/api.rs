//! A scripted Lambda that serves the Extensions API to an extension. It never freezes a process.

use crate::http::{Connection, answer};
use crate::outcome::{Outcome, fail};
use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

const ID: &str = "d7a1f0de-6b2f-4a05-8f5e-3c1f5f1f8f10";
/// The longest wait for `/event/next`. It is enough for an extension under valgrind on a busy machine.
const NEXT_TIMEOUT: Duration = Duration::from_mins(1);

/// The API server. It runs until the process ends.
pub(crate) struct Api {
    pub(crate) address: SocketAddr,
    asked: Receiver<Instant>,
    events: Sender<String>,
    telemetry: Arc<Mutex<Option<String>>>,
}

struct Shared {
    asked: Sender<Instant>,
    events: Mutex<Receiver<String>>,
    telemetry: Arc<Mutex<Option<String>>>,
}

impl Api {
    pub(crate) fn start() -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let (asked, asked_receiver) = mpsc::channel();
        let (events, event_receiver) = mpsc::channel();
        let telemetry = Arc::new(Mutex::new(None));
        let shared =
            Arc::new(Shared { asked, events: Mutex::new(event_receiver), telemetry: Arc::clone(&telemetry) });
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = Arc::clone(&shared);
                // The experiment notices missing calls, so an error of a connection is ignored here.
                std::thread::spawn(move || serve(stream, &shared));
            }
        });
        Ok(Self { address, asked: asked_receiver, events, telemetry })
    }

    /// Waits until the extension calls `/event/next`, and returns the time of the call.
    pub(crate) fn wait_for_next(&self) -> Outcome<Instant> {
        self.asked
            .recv_timeout(NEXT_TIMEOUT)
            .map_err(|_| fail(format!("no /event/next within {NEXT_TIMEOUT:?}")))
    }

    /// Answers the pending `/event/next` with an invocation that has 10 seconds.
    pub(crate) fn invoke(&self, request: &str) -> Outcome<()> {
        let deadline = SystemTime::now().duration_since(UNIX_EPOCH)? + Duration::from_secs(10);
        self.invoke_until(request, deadline)
    }

    /// Does the same with this deadline, as the time since 1970.
    pub(crate) fn invoke_until(&self, request: &str, deadline: Duration) -> Outcome<()> {
        let event = format!(
            concat!(
                r#"{{"eventType":"INVOKE","deadlineMs":{},"requestId":"{}","#,
                r#""invokedFunctionArn":"arn:aws:lambda:eu-central-1:123456789012:function:f","#,
                r#""tracing":{{"type":"X-Amzn-Trace-Id","value":"Root=1-67d448e8-3ae320be0e2cdf2f53ccdaba;"#,
                r#"Parent=35465b3a9e2f7c6a;Sampled=0"}}}}"#
            ),
            deadline.as_millis(),
            request
        );
        Ok(self.events.send(event)?)
    }

    /// Answers the next `/event/next` with SHUTDOWN, for this reason and within 2 seconds.
    pub(crate) fn shutdown(&self, reason: &str) -> Outcome<()> {
        let deadline = SystemTime::now().duration_since(UNIX_EPOCH)? + Duration::from_secs(2);
        let deadline = deadline.as_millis();
        Ok(self.events.send(format!(
            r#"{{"eventType":"SHUTDOWN","deadlineMs":{deadline},"shutdownReason":"{reason}"}}"#
        ))?)
    }

    /// Opens a connection for telemetry to the subscribed extension.
    pub(crate) fn telemetry(&self) -> Outcome<Connection<TcpStream>> {
        let subscribed = self.telemetry.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let subscribed = subscribed.ok_or_else(|| fail("the extension has not subscribed to telemetry"))?;
        let port = subscribed
            .rsplit_once("localdomain:")
            .and_then(|(_, rest)| rest.split(|c: char| !c.is_ascii_digit()).next())
            .ok_or_else(|| fail(format!("no port in the subscription {subscribed}")))?;
        let stream = TcpStream::connect(format!("127.0.0.1:{port}"))?;
        stream.set_nodelay(true)?;
        Ok(Connection::new(stream))
    }

    /// Posts a telemetry record of a request on a connection of its own, and waits for the response.
    pub(crate) fn post_telemetry(&self, kind: &str, request: &str, status: &str) -> Outcome<()> {
        let body = format!(
            concat!(
                r#"[{{"time":"2026-01-01T00:00:00.000Z","type":"platform.{}","#,
                r#""record":{{"requestId":"{}","status":"{}"}}}}]"#
            ),
            kind, request, status
        );
        post_records(&mut self.telemetry()?, &body)
    }
}

/// Posts a batch of telemetry records, and waits for the response.
pub(crate) fn post_records(connection: &mut Connection<TcpStream>, records: &str) -> Outcome<()> {
    let length = records.len();
    let head = format!("POST / HTTP/1.1\r\nhost: sandbox.localdomain\r\ncontent-length: {length}\r\n\r\n");
    connection.exchange(format!("{head}{records}").as_bytes())?;
    Ok(())
}

fn serve(stream: TcpStream, shared: &Shared) -> Outcome<()> {
    stream.set_nodelay(true)?;
    let mut connection = Connection::new(stream);
    while let Some(request) = connection.receive()? {
        let path = request.head.split(' ').nth(1).unwrap_or_default();
        let reply = if path.ends_with("/extension/register") {
            let id = format!("lambda-extension-identifier: {ID}\r\n");
            answer("200 OK", &id, r#"{"functionName":"f","functionVersion":"$LATEST","handler":"h"}"#)
        } else if path.ends_with("/event/next") {
            shared.asked.send(Instant::now())?;
            let events = shared.events.lock().unwrap_or_else(PoisonError::into_inner);
            answer("200 OK", "", &events.recv()?)
        } else if path.ends_with("/telemetry") {
            let body = String::from_utf8_lossy(&request.body).into_owned();
            *shared.telemetry.lock().unwrap_or_else(PoisonError::into_inner) = Some(body);
            answer("200 OK", "", "\"OK\"")
        } else {
            answer("404 Not Found", "", "{}")
        };
        connection.send(&reply)?;
    }
    Ok(())
}
