//! A native runtime for AWS's emulator. Its own init takes almost no time, so that the measured init shows the
//! extension's part. The event `"exit"` ends the process, which forces another init.

use std::env;
use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;
use std::process::ExitCode;

const SERVICE: &str = "/2018-06-01/runtime/invocation";

fn main() -> ExitCode {
    match serve() {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

/// Serves invocations until the event `"exit"`. Each call uses a new connection, because the runtime's speed does not
/// matter.
fn serve() -> io::Result<()> {
    let api = env::var("AWS_LAMBDA_RUNTIME_API").map_err(io::Error::other)?;
    let ask = |request: String| -> io::Result<String> {
        let mut stream = TcpStream::connect(&api)?;
        stream.write_all(request.as_bytes())?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    };
    loop {
        let event = ask(format!("GET {SERVICE}/next HTTP/1.1\r\nhost: {api}\r\nconnection: close\r\n\r\n"))?;
        let (head, body) = event.split_once("\r\n\r\n").unwrap_or_default();
        if body.contains("exit") {
            return Ok(());
        }
        let mut headers = head.lines().filter_map(|line| line.split_once(':'));
        let is_id = |name: &str| name.eq_ignore_ascii_case("lambda-runtime-aws-request-id");
        let id = headers.find_map(|(name, value)| is_id(name).then(|| value.trim())).unwrap_or_default();
        ask(format!(
            "POST {SERVICE}/{id}/response HTTP/1.1\r\nhost: {api}\r\nconnection: close\r\ncontent-length: 2\r\n\r\n{{}}"
        ))?;
    }
}
