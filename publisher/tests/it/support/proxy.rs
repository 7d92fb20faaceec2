//! Somebody between the publisher and the emulator, who can answer in its place or spoil what passes.

use super::{gate::Gate, http::Message};
use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

/// One request, as far as a rule needs to know it.
#[derive(Clone, Debug)]
pub struct SeenRequest {
    /// From the signature's credential scope.
    pub region: String,
    /// `lambda`, `sts`, `account`, `s3`.
    pub service: String,
    /// The access key that it is signed with.
    pub key: String,
    /// Method and path.
    pub line: String,
    /// All lines of its head.
    pub head: String,
    /// When it had arrived.
    pub at: Instant,
}

impl SeenRequest {
    /// Whether this is `PublishLayerVersion`.
    pub fn publishes(&self) -> bool {
        self.line.starts_with("POST ") && self.line.ends_with("/versions")
    }

    /// Whether this is `AddLayerVersionPermission`.
    pub fn grants(&self) -> bool {
        self.line.starts_with("POST ") && self.line.ends_with("/policy")
    }
}

/// What becomes of a request.
pub enum Verdict {
    /// It passes.
    Forward,
    /// It never arrives; this is the answer.
    Answer(u16, String),
    /// The same, however large it is: its body is read and forgotten.
    Swallow(u16, String),
    /// It never arrives, and the connection ends without an answer.
    Cut,
    /// It never arrives, and nobody answers.
    Hang,
    /// Its head arrives; its body is never read.
    Stall,
    /// It arrives, and this is the answer instead of the real one.
    Falsify(u16, String),
    /// It arrives, and its answer is changed on the way.
    Rewrite(Box<dyn Fn(String) -> String + Send>),
    /// It arrives, and the connection ends without an answer.
    Lose,
    /// It arrives, and half of the answer comes back.
    Truncate,
    /// It arrives, and nobody answers.
    HangAfter,
    /// The connection ends without an answer; only then, and once a gate is open, it arrives.
    Late(Gate),
    /// It waits at a gate, before it is passed on.
    Hold(Gate),
    /// It waits at a gate, and then this becomes of it.
    HoldThen(Gate, Box<Verdict>),
    /// It is passed on, and its answer waits at a gate.
    HoldAnswer(Gate),
}

impl Verdict {
    /// An answer of AWS's: its code, and a message.
    pub fn error(status: u16, code: &str) -> Self {
        Self::Answer(status, format!(r#"{{"__type":"{code}","message":"said the test"}}"#))
    }
}

/// What the answers of rules say that the request is called.
pub const REQUEST_ID: &str = "0b6e7a52-of-the-test";

/// Decides for each request.
pub type Rule = Box<dyn FnMut(&SeenRequest) -> Verdict + Send>;

/// A reverse proxy on a port of its own. Its threads end with the test process.
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
                // An end of either connection ends the exchange; the publisher's view of it is what is tested.
                thread::spawn(move || drop(serve(stream, &upstream, &log, &rule)));
            }
        });
        Self { address, seen }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// All requests so far.
    pub fn requests(&self) -> Vec<SeenRequest> {
        self.seen.lock().unwrap().clone()
    }
}

/// One exchange, then the connection ends: so each request is its own connection's only one.
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
    if let Verdict::Swallow(status, body) = &verdict {
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
    // An absolute form is what a client sends to a proxy.
    let first = first.replace(&format!("http://{}", request.header("host").unwrap_or_default()), "");
    let head = format!("{first}\r\nconnection: close\r\n{headers}");
    let reply = super::http::exchange(upstream, &head, &request.body)?;
    match verdict {
        Verdict::Falsify(status, body) => return answer(&mut client, status, body.as_bytes()),
        Verdict::Lose => return Ok(()),
        Verdict::HangAfter => {
            hang(&mut client);
            return Ok(());
        }
        Verdict::HoldAnswer(gate) if !gate.wait() => return Ok(()),
        _ => {}
    }
    let chunked = reply.header("transfer-encoding").is_some();
    let body = if chunked { unchunk(&reply.body) } else { reply.body.clone() };
    if let Verdict::Rewrite(change) = &verdict {
        let text = change(String::from_utf8_lossy(&body).into_owned());
        return answer(&mut client, reply.status(), text.as_bytes());
    }
    let keep = ["x-amzn-errortype", "etag", "x-amz-bucket-region", "last-modified"];
    let more: String =
        keep.iter().filter_map(|name| Some(format!("{name}: {}\r\n", reply.header(name)?))).collect();
    // The length of what a HEAD did not bring.
    let length = reply.header("content-length").and_then(|l| l.parse().ok()).filter(|_| !chunked);
    let length = length.unwrap_or(body.len());
    let body = if matches!(verdict, Verdict::Truncate) { &body[..body.len() / 2] } else { &body };
    reply_with(&mut client, reply.status(), &more, length, body)
}

/// Longer than any time-out of any test.
const FOREVER: Duration = Duration::from_mins(10);

/// Until the other side has had enough.
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
        "HTTP/1.1 {status} x\r\nconnection: close\r\ncontent-type: application/json\r\n{more}content-length: {length}\r\n\r\n"
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
