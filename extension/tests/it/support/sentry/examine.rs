//! Checks that a request to Sentry is exactly as it should be.

use crate::support::envelope::{self, Envelope};
use hyper::{HeaderMap, Method, body::Bytes, header, http::request::Parts};
use std::io::Read;

/// A valid envelope and the request that brought it.
#[derive(Clone, Debug)]
pub struct Received {
    /// The path and the query, with the prefix that the upstream may have.
    pub path: String,
    pub headers: HeaderMap,
    /// The body as it was sent, not decoded.
    pub body: Bytes,
    /// The `sentry_key` of the `X-Sentry-Auth` header.
    pub key: String,
    /// The project in the path.
    pub project: String,
    pub envelope: Envelope,
    /// The status of the response. It is `None` if the connection was closed instead.
    pub status: Option<u16>,
}

impl Received {
    /// Returns the `Content-Encoding`, if there is one.
    pub fn encoding(&self) -> Option<&str> {
        self.headers.get(header::CONTENT_ENCODING).and_then(|value| value.to_str().ok())
    }
}

/// Parses a request, or returns what is wrong with it.
pub(super) fn examine(head: Parts, body: Bytes) -> Result<Received, String> {
    let path = head.uri.to_string();
    let at = |why: String| format!("{} {path}: {why}", head.method);
    if head.method != Method::POST {
        return Err(at("only POST is known".to_owned()));
    }
    let project = project(head.uri.path()).map_err(at)?;
    let key = key(&head.headers).map_err(at)?;
    let plain = decode(&head.headers, &body).map_err(at)?;
    let envelope = envelope::parse(&plain).map_err(at)?;
    Ok(Received { path, headers: head.headers, body, key, project, envelope, status: None })
}

/// Returns the project of `[prefix]/api/{project}/envelope/`.
fn project(path: &str) -> Result<String, String> {
    let (_, rest) = path.split_once("/api/").ok_or("not below /api/")?;
    let project = rest.strip_suffix("/envelope/").ok_or("does not end in /envelope/")?;
    if project.is_empty() || !project.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(format!("{project:?} is no project number"));
    }
    Ok(project.to_owned())
}

/// Returns the key of `X-Sentry-Auth: Sentry sentry_key=…, sentry_version=7, sentry_client=…`.
fn key(headers: &HeaderMap) -> Result<String, String> {
    let mut all = headers.get_all("x-sentry-auth").iter();
    let auth = all.next().ok_or("no X-Sentry-Auth")?;
    if all.next().is_some() {
        return Err("more than one X-Sentry-Auth".to_owned());
    }
    let auth = auth.to_str().map_err(|_| "X-Sentry-Auth is no text")?;
    let fields = auth.strip_prefix("Sentry ").ok_or_else(|| format!("odd X-Sentry-Auth: {auth}"))?;
    let field = |name: &str| {
        let mut fields = fields.split(',').filter_map(|field| field.trim().split_once('='));
        fields.find(|(found, _)| *found == name).map(|(_, value)| value.to_owned())
    };
    if field("sentry_version").as_deref() != Some("7") {
        return Err(format!("sentry_version is not 7: {auth}"));
    }
    let key = field("sentry_key").ok_or("no sentry_key")?;
    if key.len() != 32 || !key.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(format!("sentry_key is not 32 hex digits: {key:?}"));
    }
    Ok(key)
}

pub(super) fn decode(headers: &HeaderMap, body: &Bytes) -> Result<Bytes, String> {
    let mut plain = Vec::new();
    let encoding = headers.get(header::CONTENT_ENCODING).map(header::HeaderValue::as_bytes);
    let read = match encoding {
        None | Some(b"" | b"identity") => return Ok(body.clone()),
        Some(b"gzip") => flate2::bufread::MultiGzDecoder::new(&body[..]).read_to_end(&mut plain),
        Some(b"deflate") => flate2::bufread::ZlibDecoder::new(&body[..]).read_to_end(&mut plain),
        Some(b"br") => brotli_decompressor::Decompressor::new(&body[..], 4096).read_to_end(&mut plain),
        Some(b"zstd") => ruzstd::decoding::StreamingDecoder::new(&body[..])
            .map_err(|error| format!("broken zstd: {error}"))?
            .read_to_end(&mut plain),
        Some(other) => {
            return Err(format!("unknown Content-Encoding {:?}", String::from_utf8_lossy(other)));
        }
    };
    read.map_err(|error| format!("broken Content-Encoding: {error}"))?;
    Ok(Bytes::from(plain))
}
