//! A minimal HTTP/1.1 client and parser, with one exchange for each connection. The tests use no HTTP library here,
//! because they control every byte on the wire.

use std::{
    io::{self, Read, Write},
    net::TcpStream,
};

/// A request or a response.
#[derive(Clone, Debug)]
pub struct Message {
    pub head: String,
    pub body: Vec<u8>,
}

impl Message {
    /// Reads a message. Requests have a `content-length` or no body. A response ends with its connection.
    pub fn read(stream: &mut impl Read, is_answer: bool) -> io::Result<Self> {
        let mut message = Self::read_head(stream)?;
        message.read_body(stream, is_answer)?;
        Ok(message)
    }

    pub fn read_head(stream: &mut impl Read) -> io::Result<Self> {
        let mut head = Vec::new();
        let mut byte = [0];
        while !head.ends_with(b"\r\n\r\n") {
            if stream.read(&mut byte)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            head.push(byte[0]);
        }
        let head = String::from_utf8_lossy(&head).into_owned();
        Ok(Self { head, body: Vec::new() })
    }

    pub fn read_body(&mut self, stream: &mut impl Read, is_answer: bool) -> io::Result<()> {
        if is_answer {
            // There is one exchange for each connection. The content-length of a response to HEAD says nothing here.
            stream.read_to_end(&mut self.body)?;
        } else if let Some(length) = self.header("content-length") {
            self.body = vec![0; length.parse().map_err(|_| io::ErrorKind::InvalidData)?];
            stream.read_exact(&mut self.body)?;
        }
        Ok(())
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.head
            .lines()
            .filter_map(|line| line.split_once(':'))
            .find_map(|(key, value)| key.trim().eq_ignore_ascii_case(name).then(|| value.trim()))
    }

    pub fn status(&self) -> u16 {
        self.head.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or_default()
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}

/// Sends a request to `address` and reads the response. The connection is used once.
pub fn exchange(address: &str, head: &str, body: &[u8]) -> io::Result<Message> {
    let mut stream = TcpStream::connect(address)?;
    stream.write_all(head.as_bytes())?;
    stream.write_all(body)?;
    Message::read(&mut stream, true)
}
