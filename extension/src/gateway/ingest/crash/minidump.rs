//! `/minidump`: a native crash, as a bare minidump or as a form with a minidump and other files.

use super::multipart::{self, Part};
use super::{form, msgpack};
use crate::gateway::ingest::MAX_EVENT;
use crate::gateway::media_type;
use crate::gateway::request::{RequestContext, decode_to_vec};
use crate::gateway::response::rejection::Rejection;
use crate::gateway::response::{self, Response};
use crate::protocol::event_id::EventId;
use crate::protocol::{Encoding, envelope_writer};
use hyper::body::Incoming;
use std::borrow::Cow;

/// The form field that holds the minidump.
const DUMP_FIELD: &str = "upload_file_minidump";
const CONTENT_TYPE: &str = "application/x-dmp";
const ATTACHMENT_TYPE: &str = "event.minidump";

/// Queues a crash report. Crash reporters do not understand status 429, so the response does not depend on rate limits.
pub(in crate::gateway::ingest) async fn handle(
    context: &RequestContext<'_>,
    project: &str,
    body: &mut Incoming,
) -> Result<Response, Rejection> {
    let project_auth = context.project_auth(project, None)?;
    let limit = context.config.max_body;
    let received = context.read_decoded_body(body, limit).await?;
    let is_raw =
        ["application/octet-stream", CONTENT_TYPE].contains(&media_type::content_type(&context.head.headers));
    let (id, envelope) = if is_raw {
        envelope_from_dump(&received.bytes, limit)?
    } else {
        envelope_from_form(&form::parse(&context.head.headers, &received.bytes)?, limit)?
    };
    drop(received.bytes);
    context.submit_built(project_auth, envelope)?;
    Ok(response::text_id(&id))
}

fn envelope_from_dump(body: &[u8], limit: usize) -> Result<(EventId, Vec<u8>), Rejection> {
    let id = EventId::random();
    let part = Part {
        name: None,
        file_name: Some("Minidump".into()),
        content_type: Some(CONTENT_TYPE.into()),
        data: body,
    };
    let mut envelope = envelope_writer::start(&id, &[]);
    form::add_attachment(&mut envelope, &part, ATTACHMENT_TYPE, &decompress(body, limit)?);
    Ok((id, envelope))
}

fn envelope_from_form(parts: &[Part<'_>], limit: usize) -> Result<(EventId, Vec<u8>), Rejection> {
    let files = || parts.iter().filter(|part| part.file_name.is_some());
    let dump = files().find(|part| part.name.as_deref() == Some(DUMP_FIELD));
    let dump = dump.ok_or_else(|| Rejection::bad_request("missing minidump"))?;
    let id = event_id(parts)?.unwrap_or_else(EventId::random);
    let mut envelope = envelope_writer::start(&id, &[]);
    for part in files() {
        if std::ptr::eq(part, dump) {
            let data = decompress(extract_from_form(part.data)?, limit)?;
            let file_name = part.file_name.as_deref().map(|name| strip_compression_suffix(name).to_owned());
            let part = Part { file_name, content_type: Some(CONTENT_TYPE.into()), name: None, data: &[] };
            form::add_attachment(&mut envelope, &part, ATTACHMENT_TYPE, &data);
        } else {
            form::add_attachment(&mut envelope, part, attachment_type(part.name.as_deref()), part.data);
        }
    }
    form::add_fields(&mut envelope, parts);
    Ok((id, envelope))
}

fn attachment_type(field: Option<&str>) -> &'static str {
    match field.unwrap_or_default() {
        DUMP_FIELD => ATTACHMENT_TYPE,
        "__sentry-event" => "event.payload",
        "__sentry-breadcrumb1" | "__sentry-breadcrumb2" => "event.breadcrumbs",
        "view-hierarchy.json" => "event.view_hierarchy",
        _ => "event.attachment",
    }
}

/// The event's id, from the event that native SDKs attach, or else from the form's fields.
fn event_id(parts: &[Part<'_>]) -> Result<Option<EventId>, Rejection> {
    let attached = |part: &&Part<'_>| {
        part.file_name.is_some() && attachment_type(part.name.as_deref()) == "event.payload"
    };
    if let Some(event) = parts.iter().find(attached) {
        if event.data.len() > MAX_EVENT {
            return Err(Rejection::too_large());
        }
        let invalid = || Rejection::bad_request("invalid messagepack data");
        let id = msgpack::text_in_map(event.data, "event_id").map_err(|_| invalid())?;
        if let Some(id) = id {
            return EventId::parse(id).map(Some).ok_or_else(invalid);
        }
    }
    Ok(form::event_id(parts))
}

/// The minidump in an uploaded file. Old Electron SDKs for Linux upload a file that is itself a multipart form.
fn extract_from_form(data: &[u8]) -> Result<&[u8], Rejection> {
    let Some(boundary) = multipart::boundary_in_first_line(data) else { return Ok(data) };
    let start = data.iter().position(|b| !matches!(b, b'\r' | b'\n')).unwrap_or(0);
    let parts = multipart::parse(data.get(start..).unwrap_or_default(), boundary);
    let parts = parts.map_err(|why| form::malformed(&format!("in the embedded form: {why}")))?;
    Ok(parts.iter().find(|part| part.name.as_deref() == Some(DUMP_FIELD)).map_or(data, |part| part.data))
}

/// Decompresses a minidump. The first bytes tell the compression.
fn decompress(data: &[u8], limit: usize) -> Result<Cow<'_, [u8]>, Rejection> {
    let compression = match data {
        [0x1f, 0x8b, ..] => Some(Encoding::Gzip),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Some(Encoding::Zstd),
        _ => None,
    };
    let dump = match compression {
        Some(compression) => {
            let decompressed = decode_to_vec(compression, data, limit);
            let invalid = |rejection: Rejection| match rejection.status.as_u16() {
                413 => rejection,
                _ => Rejection { detail: "invalid compression container".to_owned(), ..rejection },
            };
            Cow::Owned(decompressed.map_err(invalid)?)
        }
        None => Cow::Borrowed(data),
    };
    if dump.starts_with(b"MDMP") || dump.starts_with(b"PMDM") {
        return Ok(dump);
    }
    let rejection = Rejection::bad_request("invalid minidump");
    // Sentry's Relay decompresses these too. Their decoders would make the extension larger, and that is not worth it.
    let is_unsupported = data.starts_with(b"\xfd7zXZ\0") || data.starts_with(b"BZh");
    Err(if is_unsupported {
        rejection.because("xz and bzip2 are not supported: use gzip or zstd")
    } else {
        rejection
    })
}

fn strip_compression_suffix(name: &str) -> &str {
    let suffixes = [".gz", ".xz", ".bz2", ".zst"];
    suffixes.iter().find_map(|suffix| name.strip_suffix(suffix)).unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    const LIMIT: usize = 1000;

    fn gzip(plain: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(plain).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn compressed_dumps_are_decompressed_within_the_limit() {
        assert_eq!(&*decompress(b"MDMP content", LIMIT).unwrap(), b"MDMP content");
        assert_eq!(&*decompress(&gzip(b"PMDM content"), LIMIT).unwrap(), b"PMDM content");
        let status = |data: &[u8]| decompress(data, LIMIT).unwrap_err().status.as_u16();
        assert_eq!(status(b"content"), 400);
        assert_eq!(status(&gzip(b"content")), 400);
        assert_eq!(status(b"\x1f\x8bnot gzip"), 400);
        assert_eq!(status(&gzip(&[b'M'; LIMIT + 1])), 413);
    }

    #[test]
    fn a_dump_in_a_form_in_the_form() {
        let inner = b"\r\n--in\r\nContent-Disposition: form-data; name=\"upload_file_minidump\"; \
            filename=\"d\"\r\n\r\nMDMP\r\n--in--";
        assert_eq!(extract_from_form(inner).unwrap(), b"MDMP");
        assert_eq!(extract_from_form(b"MDMP").unwrap(), b"MDMP");
        assert!(extract_from_form(&inner[..inner.len() - 4]).is_err());
    }

    #[test]
    fn file_names_lose_the_compression_suffix() {
        assert_eq!(strip_compression_suffix("a.dmp.gz"), "a.dmp");
        assert_eq!(strip_compression_suffix("a.dmp"), "a.dmp");
    }
}
