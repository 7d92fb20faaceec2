//! Attacks the parsers for crash reports.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    missing_docs
)]

use super::{msgpack as reader, multipart as form};

/// What is found lies in the input, and what follows the map does not change it.
pub fn msgpack(data: &[u8]) {
    let found = reader::text_in_map(data, "event_id");
    if let Ok(Some(text)) = found {
        assert!(text.is_empty() || memchr::memmem::find(data, text.as_bytes()).is_some());
    }
    if found.is_ok() {
        assert_eq!(reader::text_in_map(&[data, b"\xc1"].concat(), "event_id"), found);
    }
}

/// The parts of a form lie in its body one after the other, and a form that is written with them has the same parts.
/// The first line of the input is the boundary.
pub fn multipart(data: &[u8]) {
    let _ = form::boundary_in_first_line(data);
    let Some(at) = memchr::memchr(b'\n', data) else { return };
    let (boundary, body) = (String::from_utf8_lossy(&data[..at]), &data[at + 1..]);
    let Ok(parts) = form::parse(body, &boundary) else { return };
    let mut end = body.as_ptr().addr();
    let mut written = Vec::new();
    for part in &parts {
        let start = part.data.as_ptr().addr();
        assert!(start >= end, "parts overlap");
        end = start + part.data.len();
        written.extend_from_slice(format!("--{boundary}\r\n\r\n").as_bytes());
        written.extend_from_slice(part.data);
        written.extend_from_slice(b"\r\n");
    }
    assert!(end <= body.as_ptr().addr() + body.len());
    written.extend_from_slice(format!("--{boundary}--").as_bytes());
    let again = form::parse(&written, &boundary).expect("a form that was written can be read");
    let datas = |parts: &[form::Part<'_>]| parts.iter().map(|part| part.data.to_vec()).collect::<Vec<_>>();
    assert_eq!(datas(&again), datas(&parts));
}
