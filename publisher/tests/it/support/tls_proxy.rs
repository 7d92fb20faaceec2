//! A server that speaks TLS in front of one that does not.

use super::{
    http::{Message, exchange},
    tls::TestTls,
};
use std::{io::Write, net::TcpListener, sync::Arc, thread};

/// Starts a TLS server on a free port that forwards each request to `upstream` without TLS. Returns its URL. Its
/// threads end with the test process.
pub fn start(tls: &TestTls, upstream: &str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    let (server, upstream) = (Arc::clone(&tls.server), upstream.to_owned());
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let (server, upstream) = (Arc::clone(&server), upstream.clone());
            thread::spawn(move || -> std::io::Result<()> {
                let connection = rustls::ServerConnection::new(server).unwrap();
                let mut stream = rustls::StreamOwned::new(connection, stream);
                let request = Message::read(&mut stream, false)?;
                let answer = exchange(&upstream, &request.head, &request.body)?;
                stream.write_all(answer.head.as_bytes())?;
                stream.write_all(&answer.body)?;
                stream.conn.send_close_notify();
                stream.flush()
            });
        }
    });
    url
}
