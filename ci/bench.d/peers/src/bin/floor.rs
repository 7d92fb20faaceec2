//! The floor is a minimal extension. It shows what any extension adds to a cold start: it registers, asks for events
//! and does nothing else. It uses only the standard library. `ci/bench` compiles this file alone and links it
//! statically, like the layer's binary.

use std::env;
use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;

const SERVICE: &str = "/2020-01-01/extension";

fn main() -> io::Result<()> {
    let api = env::var("AWS_LAMBDA_RUNTIME_API").map_err(io::Error::other)?;
    let path = env::args().next().unwrap_or_default();
    let name = path.rsplit('/').next().unwrap_or_default();
    let mut lambda = Lambda { stream: TcpStream::connect(&api)?, api };
    let events = r#"{"events":["INVOKE","SHUTDOWN"]}"#;
    let length = events.len();
    let registered = lambda.ask(&format!(
        "POST {SERVICE}/register HTTP/1.1\r\nhost: {}\r\nlambda-extension-name: {name}\r\n\
         content-type: application/json\r\ncontent-length: {length}\r\n\r\n{events}",
        lambda.api
    ))?;
    let id = header(&registered, "lambda-extension-identifier").unwrap_or_default().to_owned();
    let next = format!(
        "GET {SERVICE}/event/next HTTP/1.1\r\nhost: {}\r\nlambda-extension-identifier: {id}\r\n\r\n",
        lambda.api
    );
    while !lambda.ask(&next)?.contains("\"SHUTDOWN\"") {}
    Ok(())
}

struct Lambda {
    api: String,
    stream: TcpStream,
}

impl Lambda {
    fn ask(&mut self, request: &str) -> io::Result<String> {
        self.stream.write_all(request.as_bytes())?;
        let mut answer = String::new();
        loop {
            let mut block = [0; 4096];
            let read = self.stream.read(&mut block)?;
            if read == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            answer.push_str(&String::from_utf8_lossy(block.get(..read).unwrap_or_default()));
            let Some((_, body)) = answer.split_once("\r\n\r\n") else { continue };
            let length = header(&answer, "content-length").and_then(|length| length.parse().ok());
            if body.len() >= length.unwrap_or(0) {
                return Ok(answer);
            }
        }
    }
}

fn header<'a>(answer: &'a str, wanted: &str) -> Option<&'a str> {
    let (head, _) = answer.split_once("\r\n\r\n")?;
    let mut headers = head.lines().filter_map(|line| line.split_once(':'));
    headers.find_map(|(name, value)| name.eq_ignore_ascii_case(wanted).then(|| value.trim()))
}
