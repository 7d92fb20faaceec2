//! Measures a request through the real gateway into the queue, from sending it on an open connection to its response.
//!
//! Upstream refuses connections, so nothing is delivered during the measurement. The queue is soon full, and every
//! accepted envelope evicts an older one. A small queue shows the cost of queueing, and a large one shows what an
//! outage adds.

use crate::KEY;
use criterion::{BenchmarkId, Criterion, Throughput};
use sentry_lambda_extension::config::{Config, Overrides};
use sentry_lambda_extension::gateway::{self, Api};
use sentry_lambda_extension::relay::Relay;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;

pub(crate) fn request_to_queue(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("request to queue");
    let cases = [
        ("256KiB", 500, 0),
        ("256KiB", 5000, 0),
        ("256KiB", 50_000, 0),
        ("64MiB", 5000, 0),
        ("200MiB", 500, 0),
        ("200MiB", 500, 100_000),
    ];
    for (buffer, bytes, waiting) in cases {
        let mut stream = match serve(buffer).and_then(TcpStream::connect) {
            Ok(stream) => stream,
            Err(error) => return exit_with(&error),
        };
        let request = request(bytes);
        for _ in 0..waiting {
            if let Err(error) = exchange(&mut stream, &request) {
                exit_with(&error);
            }
        }
        group.throughput(Throughput::Bytes(request.len() as u64));
        let name = format!("buffer {buffer}, {waiting} waiting, bytes");
        group.bench_with_input(BenchmarkId::new(name, bytes), &request, |bench, request| {
            bench.iter(|| {
                if let Err(error) = exchange(&mut stream, request) {
                    exit_with(&error);
                }
            });
        });
    }
    group.finish();
}

/// Starts a gateway on its own thread, which runs until the process ends. Returns its address.
fn serve(buffer: &'static str) -> io::Result<SocketAddr> {
    let closed_port = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    let listener = TcpListener::bind("127.0.0.1:0")?;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    let settings = move |name: &str| match name {
        "SENTRY_DSN" => Some(format!("http://{KEY}@{closed_port}/42")),
        "SENTRY_EXTENSION_BUFFER" => Some(buffer.to_owned()),
        "SENTRY_EXTENSION_LOG" => Some("off".to_owned()),
        _ => None,
    };
    let config = Arc::new(Config::read(settings, Overrides::default()).0);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    std::thread::spawn(move || {
        runtime.block_on(async {
            let relay = Relay::start(&config);
            match tokio::net::TcpListener::from_std(listener) {
                Ok(listener) => gateway::serve(Arc::new(listener), Api::Sentry, config, relay, None).await,
                Err(error) => exit_with(&error),
            }
        });
    });
    Ok(address)
}

fn request(bytes: usize) -> Vec<u8> {
    let payload = format!("{{\"message\":\"{}\"}}", "x".repeat(bytes));
    let length = payload.len();
    let body = format!(
        "{{\"event_id\":\"9ec79c33ec9942ab8353589fcb2e04dc\"}}\n{{\"type\":\"event\",\"length\":{length}}}\n{payload}\n"
    );
    format!(
        "POST /api/42/envelope/ HTTP/1.1\r\nhost: localhost\r\ncontent-length: {}\r\n\
         x-sentry-auth: Sentry sentry_key={KEY}, sentry_version=7, sentry_client=bench/1\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

fn exchange(stream: &mut TcpStream, request: &[u8]) -> io::Result<()> {
    stream.write_all(request)?;
    let mut response = [0; 1024];
    // The response is small, so one read returns all of it.
    let read = stream.read(&mut response)?;
    if response.starts_with(b"HTTP/1.1 200") {
        return Ok(());
    }
    Err(io::Error::other(String::from_utf8_lossy(response.get(..read).unwrap_or_default()).into_owned()))
}

/// Ends the process with an error, because a benchmark that cannot measure must not look successful.
#[expect(
    clippy::print_stderr,
    clippy::exit,
    reason = "a benchmark has no caller that could handle the error"
)]
fn exit_with(error: &io::Error) {
    eprintln!("the gateway benchmark failed: {error}");
    std::process::exit(1);
}
