//! A release registry on loopback that serves Relay's binaries. The test decides the bytes of each response.

use super::{http::Message, tls::TestTls};
use serde_json::json;
use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread::{self, JoinHandle},
};

#[derive(Clone, Debug)]
pub struct Request {
    /// The number of earlier requests for the same path.
    pub nth: usize,
    pub path: String,
    pub range: Option<String>,
    pub if_range: Option<String>,
}

impl Request {
    /// The first byte of the requested range.
    pub fn start(&self) -> usize {
        let range = self.range.as_deref().unwrap_or("bytes=0-");
        range.trim_start_matches("bytes=").trim_end_matches('-').parse().unwrap()
    }
}

type Handler = Box<dyn Fn(&Request) -> Vec<u8> + Send + Sync>;

/// The server. It ends when it is dropped.
pub struct Registry {
    url: String,
    requests: Arc<Mutex<Vec<Request>>>,
    connections: Arc<AtomicUsize>,
    handler: Arc<Mutex<Handler>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Registry {
    /// Lists version 26.9.0 with both binaries at `/files/NAME`. `file` makes the responses to requests for these.
    pub fn new(file: impl Fn(&Request) -> Vec<u8> + Send + Sync + 'static) -> Self {
        Self::start(file, None)
    }

    /// Does the same as `new`, over TLS.
    pub fn secure(tls: &TestTls, file: impl Fn(&Request) -> Vec<u8> + Send + Sync + 'static) -> Self {
        Self::start(file, Some(Arc::clone(&tls.server)))
    }

    fn start(
        file: impl Fn(&Request) -> Vec<u8> + Send + Sync + 'static,
        tls: Option<Arc<rustls::ServerConfig>>,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let scheme = if tls.is_some() { "https" } else { "http" };
        let url = format!("{scheme}://{}", listener.local_addr().unwrap());
        let requests = Arc::<Mutex<Vec<Request>>>::default();
        let handler = Arc::new(Mutex::new(Box::new(file) as Handler));
        let stop = Arc::<AtomicBool>::default();
        let connections = Arc::<AtomicUsize>::default();
        let thread = thread::spawn({
            let (url, requests, handler, stop) =
                (url.clone(), Arc::clone(&requests), Arc::clone(&handler), Arc::clone(&stop));
            let connections = Arc::clone(&connections);
            move || {
                for stream in listener.incoming() {
                    if stop.load(Ordering::SeqCst) {
                        return;
                    }
                    connections.fetch_add(1, Ordering::SeqCst);
                    let (stream, handler) = (stream.unwrap(), handler.lock().unwrap());
                    match &tls {
                        None => serve(stream, &url, &requests, &handler),
                        Some(tls) => {
                            let connection = rustls::ServerConnection::new(Arc::clone(tls)).unwrap();
                            let stream = rustls::StreamOwned::new(connection, stream);
                            serve(stream, &url, &requests, &handler);
                        }
                    }
                }
            }
        });
        Self { url, requests, connections, handler, stop, thread: Some(thread) }
    }

    /// Serves both files whole, and ignores ranges.
    pub fn of(arm64: Vec<u8>, x86_64: Vec<u8>) -> Self {
        Self::new(move |request| {
            full_response(if request.path.ends_with("aarch64") { &arm64 } else { &x86_64 })
        })
    }

    /// Replaces the function that makes the responses for the files.
    pub fn change(&self, file: impl Fn(&Request) -> Vec<u8> + Send + Sync + 'static) {
        *self.handler.lock().unwrap() = Box::new(file);
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    /// The number of connections that clients have opened.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// All requests whose path contains `path`.
    pub fn requests(&self, path: &str) -> Vec<Request> {
        self.requests.lock().unwrap().iter().filter(|request| request.path.contains(path)).cloned().collect()
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        drop(TcpStream::connect(self.url.split("://").nth(1).unwrap()));
        let _ = self.thread.take().unwrap().join();
    }
}

fn serve(mut stream: impl Read + Write, url: &str, requests: &Mutex<Vec<Request>>, file: &Handler) {
    let Ok(message) = Message::read(&mut stream, false) else { return };
    let path = message.head.split(' ').nth(1).unwrap().to_owned();
    let mut requests = requests.lock().unwrap();
    let request = Request {
        nth: requests.iter().filter(|request| request.path == path).count(),
        range: message.header("range").map(str::to_owned),
        if_range: message.header("if-range").map(str::to_owned),
        path,
    };
    requests.push(request.clone());
    drop(requests);
    let answer = match request.path.as_str() {
        "/apps/relay/26.9.0" => answer("200 OK", "", release(url).to_string().as_bytes()),
        path if path.starts_with("/files/") => file(&request),
        _ => answer("404 Not Found", "", b"{}"),
    };
    // A client that has seen enough closes the connection. That is no error.
    let _ = stream.write_all(&answer);
}

fn release(url: &str) -> serde_json::Value {
    let file = |name: &str| json!({ "url": format!("{url}/files/{name}") });
    json!({
        "name": "Relay",
        "canonical": "app:relay",
        "version": "26.9.0",
        "file_urls": { "relay-Linux-x86_64": format!("{url}/files/relay-Linux-x86_64") },
        "files": {
            "relay-Linux-aarch64": file("relay-Linux-aarch64"),
            "relay-Linux-x86_64": file("relay-Linux-x86_64"),
        }
    })
}

/// A complete response. Each line in `headers` ends with CR LF.
pub fn answer(status: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let head = format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\n{headers}connection: close\r\n\r\n");
    [head.as_bytes(), body].concat()
}

/// A response with the whole file.
pub fn full_response(body: &[u8]) -> Vec<u8> {
    answer("200 OK", "content-type: application/octet-stream\r\n", body)
}

/// A response with the file from the requested position on, and with an entity tag. It contains the whole file if the
/// request names another tag.
pub fn range_response(request: &Request, body: &[u8], tag: &str) -> Vec<u8> {
    let start = request.start();
    if start == 0 || request.if_range.as_deref().is_some_and(|wanted| wanted != tag) {
        return answer("200 OK", &format!("etag: {tag}\r\n"), body);
    }
    let headers =
        format!("etag: {tag}\r\ncontent-range: bytes {start}-{}/{}\r\n", body.len() - 1, body.len());
    answer("206 Partial Content", &headers, &body[start..])
}

/// The same response, except that the connection ends before the last `missing` bytes.
pub fn truncated(answer: &[u8], missing: usize) -> Vec<u8> {
    answer[..answer.len() - missing].to_vec()
}
