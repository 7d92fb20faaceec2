//! A proxy between the publisher and the emulator. It can answer requests itself, and it can change or lose requests
//! and responses.

use super::{gate::Gate, http::Message};
use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

/// The properties of a request that the rules use.
#[derive(Clone, Debug)]
pub struct SeenRequest {
    /// The region in the signature's credential scope.
    pub region: String,
    /// The service in the credential scope: `lambda`, `sts`, `account` or `s3`.
    pub service: String,
    /// The access key that signed the request.
    pub key: String,
    /// The method and the path.
    pub line: String,
    /// The whole head of the request.
    pub head: String,
    /// The time when the request had arrived completely.
    pub at: Instant,
}

impl SeenRequest {
    /// Whether the request is `PublishLayerVersion`.
    pub fn publishes(&self) -> bool {
        self.line.starts_with("POST ") && self.line.ends_with("/versions")
    }

    /// Whether the request is `AddLayerVersionPermission`.
    pub fn grants(&self) -> bool {
        self.line.starts_with("POST ") && self.line.ends_with("/policy")
    }
}

/// What the proxy does with a request.
pub enum Verdict {
    /// Forwards the request and the response.
    Forward,
    /// Answers the request with this status and body. The emulator does not get it.
    Answer(u16, String),
    /// Does the same as `Answer`, and reads and discards the body first, however large it is.
    DiscardAndAnswer(u16, String),
    /// Closes the connection without a response. The emulator does not get the request.
    Cut,
    /// Never answers. The emulator does not get the request.
    Hang,
    /// Reads the head of the request, but never its body.
    Stall,
    /// Forwards the request, and answers with this status and body instead of the real response.
    ForwardAndAnswer(u16, String),
    /// Forwards the request, and changes the body of the response.
    ForwardAndRewrite(Box<dyn Fn(String) -> String + Send>),
    /// Forwards the request, and closes the connection without a response.
    ForwardAndCut,
    /// Forwards the request, and returns only half of the response.
    ForwardAndTruncate,
    /// Forwards the request, but never answers.
    ForwardAndHang,
    /// Closes the connection without a response. Forwards the request only after that, once the gate is open.
    Late(Gate),
    /// Holds the request at the gate, and then forwards it.
    Hold(Gate),
    /// Holds the request at the gate, and then applies this verdict.
    HoldThen(Gate, Box<Verdict>),
    /// Forwards the request, and holds the response at the gate.
    HoldAnswer(Gate),
}

impl Verdict {
    /// Answers with an error of AWS that has this code.
    pub fn error(status: u16, code: &str) -> Self {
        Self::Answer(status, format!(r#"{{"__type":"{code}","message":"said the test"}}"#))
    }
}

/// The request id in the responses that the proxy makes itself.
pub const REQUEST_ID: &str = "0b6e7a52-of-the-test";

/// Decides what the proxy does with each request.
pub type Rule = Box<dyn FnMut(&SeenRequest) -> Verdict + Send>;

/// A reverse proxy on a free port. Its threads end with the test process.
pub struct Proxy {
    address: String,
    seen: Arc<Mutex<Vec<SeenRequest>>>,
}

impl Proxy {
    pub fn start(upstream: &str, rule: impl FnMut(&SeenRequest) -> Verdict + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let rule: Arc<Mutex<Rule>> = Arc::new(Mutex::new(Box::new(rule)));
        let (upstream, log) = (upstream.to_owned(), Arc::clone(&seen));
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (upstream, log, rule) = (upstream.clone(), Arc::clone(&log), Arc::clone(&rule));
                // The exchange ends when either connection ends. Errors are ignored here, because the tests check what
                // the publisher makes of them.
                thread::spawn(move || drop(serve(stream, &upstream, &log, &rule)));
            }
        });
        Self { address, seen }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The requests that have arrived so far.
    pub fn requests(&self) -> Vec<SeenRequest> {
        self.seen.lock().unwrap().clone()
    }
}

/// Serves one exchange and closes the connection, so that each request has a connection of its own.
fn serve(
    mut client: TcpStream,
    upstream: &str,
    log: &Mutex<Vec<SeenRequest>>,
    rule: &Mutex<Rule>,
) -> std::io::Result<()> {
    let mut request = Message::read_head(&mut client)?;
    let seen = parse_request(&request);
    log.lock().unwrap().push(seen.clone());
    let mut verdict = (rule.lock().unwrap())(&seen);
    if let Verdict::HoldThen(gate, then) = verdict {
        if !gate.wait() {
            return Ok(());
        }
        verdict = *then;
    }
    if matches!(verdict, Verdict::Stall) {
        thread::sleep(FOREVER);
        return Ok(());
    }
    if let Verdict::DiscardAndAnswer(status, body) = &verdict {
        let length = request.header("content-length").and_then(|l| l.parse().ok()).unwrap_or(0);
        let read = std::io::copy(&mut (&mut client).take(length), &mut std::io::sink())?;
        return if read == length { answer(&mut client, *status, body.as_bytes()) } else { Ok(()) };
    }
    if request.header("expect").is_some() {
        client.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
    }
    request.read_body(&mut client, false)?;
    match &verdict {
        Verdict::Answer(status, body) => return answer(&mut client, *status, body.as_bytes()),
        Verdict::Cut => return Ok(()),
        Verdict::Hang => {
            hang(&mut client);
            return Ok(());
        }
        Verdict::Hold(gate) if !gate.wait() => return Ok(()),
        Verdict::Late(gate) => {
            client.shutdown(std::net::Shutdown::Both)?;
            if !gate.wait() {
                return Ok(());
            }
        }
        _ => {}
    }
    let (first, headers) = request.head.split_once("\r\n").unwrap();
    let headers: String = headers
        .lines()
        .filter(|l| !l.starts_with("expect:"))
        .fold(String::new(), |all, line| all + line + "\r\n");
    // Clients that use a proxy send the target in absolute form.
    let first = first.replace(&format!("http://{}", request.header("host").unwrap_or_default()), "");
    let head = format!("{first}\r\nconnection: close\r\n{headers}");
    let reply = super::http::exchange(upstream, &head, &request.body)?;
    match verdict {
        Verdict::ForwardAndAnswer(status, body) => return answer(&mut client, status, body.as_bytes()),
        Verdict::ForwardAndCut => return Ok(()),
        Verdict::ForwardAndHang => {
            hang(&mut client);
            return Ok(());
        }
        Verdict::HoldAnswer(gate) if !gate.wait() => return Ok(()),
        _ => {}
    }
    let chunked = reply.header("transfer-encoding").is_some();
    let body = if chunked { unchunk(&reply.body) } else { reply.body.clone() };
    if let Verdict::ForwardAndRewrite(change) = &verdict {
        let text = change(String::from_utf8_lossy(&body).into_owned());
        return answer(&mut client, reply.status(), text.as_bytes());
    }
    let keep = ["x-amzn-errortype", "etag", "x-amz-bucket-region", "last-modified"];
    let more: String =
        keep.iter().filter_map(|name| Some(format!("{name}: {}\r\n", reply.header(name)?))).collect();
    // A response to HEAD has a content-length, but no body.
    let length = reply.header("content-length").and_then(|l| l.parse().ok()).filter(|_| !chunked);
    let length = length.unwrap_or(body.len());
    let body = if matches!(verdict, Verdict::ForwardAndTruncate) { &body[..body.len() / 2] } else { &body };
    reply_with(&mut client, reply.status(), &more, length, body)
}

/// A duration that is longer than any timeout in the tests.
const FOREVER: Duration = Duration::from_mins(10);

/// Waits until the client closes the connection.
fn hang(client: &mut TcpStream) {
    let _ = client.set_read_timeout(Some(FOREVER));
    let _ = client.read(&mut [0]);
}

fn parse_request(request: &Message) -> SeenRequest {
    let scope =
        request.header("authorization").and_then(|a| a.split("Credential=").nth(1)).unwrap_or_default();
    let mut parts = scope.split(['/', ',']);
    let key = parts.next().unwrap_or_default().to_owned();
    let (region, service) = (parts.nth(1).unwrap_or_default(), parts.next().unwrap_or_default());
    let line = request.head.lines().next().unwrap_or_default();
    let line = line.trim_end_matches(" HTTP/1.1").to_owned();
    let head = request.head.clone();
    SeenRequest {
        region: region.to_owned(),
        service: service.to_owned(),
        key,
        line,
        head,
        at: Instant::now(),
    }
}

fn answer(client: &mut TcpStream, status: u16, body: &[u8]) -> std::io::Result<()> {
    reply_with(client, status, &format!("x-amzn-requestid: {REQUEST_ID}\r\n"), body.len(), body)
}

fn reply_with(
    client: &mut TcpStream,
    status: u16,
    more: &str,
    length: usize,
    body: &[u8],
) -> std::io::Result<()> {
    let head = format!(
        "HTTP/1.1 {status} x\r\nconnection: close\r\ncontent-type: application/json\r\n\
         {more}content-length: {length}\r\n\r\n"
    );
    client.write_all(head.as_bytes())?;
    client.write_all(body)
}

fn unchunk(mut rest: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    while let Some(end) = rest.windows(2).position(|pair| pair == b"\r\n") {
        let size = std::str::from_utf8(&rest[..end]).ok().and_then(|hex| usize::from_str_radix(hex, 16).ok());
        let Some(size) = size.filter(|size| *size > 0) else { break };
        body.extend_from_slice(&rest[end + 2..end + 2 + size]);
        rest = &rest[end + 2 + size + 2..];
    }
    body
}
