//! A function that does nothing, in a minimal native runtime. Tests use it to measure what the extension adds to a cold
//! start.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;

fn main() -> io::Result<()> {
    let api = std::env::var("AWS_LAMBDA_RUNTIME_API").map_err(io::Error::other)?;
    let mut connection = BufReader::new(TcpStream::connect(api)?);
    connection.get_ref().set_nodelay(true)?;
    loop {
        let id = call(&mut connection, "GET /2018-06-01/runtime/invocation/next", "")?;
        call(&mut connection, &format!("POST /2018-06-01/runtime/invocation/{id}/response"), "{}")?;
    }
}

/// Sends a request and returns the invocation id from the response head. It is empty if the response has none.
fn call(connection: &mut BufReader<TcpStream>, request: &str, body: &str) -> io::Result<String> {
    let length = body.len();
    let request = format!("{request} HTTP/1.1\r\nHost: runtime\r\nContent-Length: {length}\r\n\r\n{body}");
    connection.get_mut().write_all(request.as_bytes())?;
    let (mut id, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        if connection.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let (name, value) = line.split_once(':').unwrap_or((line.trim_end(), ""));
        match name.to_ascii_lowercase().as_str() {
            "" => break,
            "lambda-runtime-aws-request-id" => value.trim().clone_into(&mut id),
            "content-length" => length = value.trim().parse().map_err(io::Error::other)?,
            _ => {}
        }
    }
    io::copy(&mut connection.take(length), &mut io::sink())?;
    Ok(id)
}
