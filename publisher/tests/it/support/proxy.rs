//! Somebody between the publisher and the emulator, who can answer in its place or spoil what passes.

use super::http::Message;
use std::{
    io::Write,
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
    time::Instant,
};

/// One request, as far as a rule needs to know it.
#[derive(Clone, Debug)]
pub struct Seen {
    /// From the signature's credential scope.
    pub region: String,
    /// `lambda`, `sts`, `account`.
    pub service: String,
    /// Method and path.
    pub line: String,
    /// When it had arrived.
    pub at: Instant,
}

impl Seen {
    /// Whether this is `PublishLayerVersion`.
    pub fn publishes(&self) -> bool {
        self.line.starts_with("POST ") && self.line.ends_with("/versions")
    }
}

/// What becomes of a request.
pub enum Verdict {
    /// It passes.
    Forward,
    /// It never arrives; this is the answer.
    Answer(u16, &'static str),
    /// It never arrives, and the connection ends without an answer.
    Cut,
    /// It arrives, and this is the answer instead of the real one.
    Falsify(u16, &'static str),
    /// It arrives, and the connection ends without an answer.
    Lose,
}

/// Decides for each request.
pub type Rule = Box<dyn FnMut(&Seen) -> Verdict + Send>;

/// A reverse proxy on a port of its own. Its threads end with the test process.
pub struct Proxy {
    address: String,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Proxy {
    pub fn start(upstream: &str, rule: impl FnMut(&Seen) -> Verdict + Send + 'static) -> Self {
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
    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }
}

/// One exchange, then the connection ends: so each request is its own connection's only one.
fn serve(
    mut client: TcpStream,
    upstream: &str,
    log: &Mutex<Vec<Seen>>,
    rule: &Mutex<Rule>,
) -> std::io::Result<()> {
    let request = Message::read(&mut client, false)?;
    let seen = look(&request);
    log.lock().unwrap().push(seen.clone());
    let verdict = (rule.lock().unwrap())(&seen);
    match verdict {
        Verdict::Answer(status, body) => return answer(&mut client, status, body.as_bytes()),
        Verdict::Cut => return Ok(()),
        Verdict::Forward | Verdict::Falsify(..) | Verdict::Lose => {}
    }
    let (first, headers) = request.head.split_once("\r\n").unwrap();
    let head = format!("{first}\r\nconnection: close\r\n{headers}");
    let reply = super::http::exchange(upstream, &head, &request.body)?;
    match verdict {
        Verdict::Falsify(status, body) => answer(&mut client, status, body.as_bytes()),
        Verdict::Lose => Ok(()),
        Verdict::Forward | Verdict::Cut | Verdict::Answer(..) => {
            let body = if reply.header("transfer-encoding").is_some() {
                unchunk(&reply.body)
            } else {
                reply.body.clone()
            };
            let error = reply.header("x-amzn-errortype").map(|e| format!("x-amzn-errortype: {e}\r\n"));
            reply_with(&mut client, reply.status(), &error.unwrap_or_default(), &body)
        }
    }
}

fn look(request: &Message) -> Seen {
    let scope =
        request.header("authorization").and_then(|a| a.split("Credential=").nth(1)).unwrap_or_default();
    let mut parts = scope.split(['/', ',']);
    let (region, service) = (parts.nth(2).unwrap_or_default(), parts.next().unwrap_or_default());
    let line = request.head.lines().next().unwrap_or_default();
    let line = line.trim_end_matches(" HTTP/1.1").to_owned();
    Seen { region: region.to_owned(), service: service.to_owned(), line, at: Instant::now() }
}

fn answer(client: &mut TcpStream, status: u16, body: &[u8]) -> std::io::Result<()> {
    reply_with(client, status, "", body)
}

fn reply_with(client: &mut TcpStream, status: u16, more: &str, body: &[u8]) -> std::io::Result<()> {
    let length = body.len();
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
