//! Blocking HTTP/1.1, as far as the experiments need it. It uses no library, so that the times contain no work of one.

use std::io::{self, Read, Write};

/// An HTTP request or response.
#[derive(Debug)]
pub(crate) struct Message {
    /// The first line and the headers.
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Message {
    /// Returns the value of a header.
    pub(crate) fn header(&self, wanted: &str) -> Option<&str> {
        let mut headers = self.head.lines().filter_map(|line| line.split_once(':'));
        headers.find_map(|(name, value)| name.eq_ignore_ascii_case(wanted).then(|| value.trim()))
    }

    /// Whether this is a response with status 200.
    pub(crate) fn is_ok(&self) -> bool {
        self.head.starts_with("HTTP/1.1 200")
    }
}

/// A connection and the bytes that were read beyond the last message.
#[derive(Debug)]
pub(crate) struct Connection<S> {
    stream: S,
    read: Vec<u8>,
}

impl<S: Read + Write> Connection<S> {
    pub(crate) fn new(stream: S) -> Self {
        Self { stream, read: Vec::with_capacity(16 * 1024) }
    }

    /// Writes all bytes and flushes.
    pub(crate) fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)?;
        self.stream.flush()
    }

    /// Reads the next message. Returns `None` if the peer has closed the connection between two messages.
    pub(crate) fn receive(&mut self) -> io::Result<Option<Message>> {
        let end = loop {
            if let Some(end) = self.read.windows(4).position(|window| window == b"\r\n\r\n") {
                break end;
            }
            if self.read_more()? == 0 {
                let cut = io::Error::from(io::ErrorKind::UnexpectedEof);
                return if self.read.is_empty() { Ok(None) } else { Err(cut) };
            }
        };
        let rest = self.read.split_off(end + 4);
        let head = String::from_utf8_lossy(&std::mem::replace(&mut self.read, rest)).into_owned();
        let mut message = Message { head, body: Vec::new() };
        if message.header("transfer-encoding").is_some() {
            return Err(io::Error::other("received a chunked message, which is not supported here"));
        }
        let length: usize = message.header("content-length").and_then(|text| text.parse().ok()).unwrap_or(0);
        self.read.reserve(length.saturating_sub(self.read.len()));
        while self.read.len() < length {
            if self.read_more()? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        let rest = self.read.split_off(length);
        message.body = std::mem::replace(&mut self.read, rest);
        Ok(Some(message))
    }

    /// Sends a request and waits for the response.
    pub(crate) fn exchange(&mut self, request: &[u8]) -> io::Result<Message> {
        self.send(request)?;
        self.receive()?.ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }

    fn read_more(&mut self) -> io::Result<usize> {
        let mut block = [0; 16 * 1024];
        let read = self.stream.read(&mut block)?;
        self.read.extend_from_slice(block.get(..read).unwrap_or_default());
        Ok(read)
    }
}

/// Builds a response with this status, these additional headers (each ends in CR LF) and this body.
pub(crate) fn answer(status: &str, headers: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\n{headers}content-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}")
        .into_bytes()
}
