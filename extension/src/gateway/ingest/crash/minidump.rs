//! `/minidump`: a native crash, alone or in a form with what belongs to it.

use super::multipart::{self, Part};
use super::{form, msgpack};
use crate::gateway::media_type;
use crate::gateway::request::{RequestContext, expanded};
use crate::gateway::response::rejection::Rejection;
use crate::gateway::response::{self, Response};
use crate::protocol::event_id::EventId;
use crate::protocol::{Encoding, envelope_writer};
use hyper::body::Incoming;
use std::borrow::Cow;

/// The field that holds the dump.
const FIELD: &str = "upload_file_minidump";
const CONTENT_TYPE: &str = "application/x-dmp";
const MINIDUMP: &str = "event.minidump";

/// Takes a crash. Its sender does not understand 429, so it is not told of rate limits.
pub(in crate::gateway::ingest) async fn take(
    context: &RequestContext<'_>,
    project: &str,
    body: &mut Incoming,
) -> Result<Response, Rejection> {
    let project_auth = context.project_auth(project, None)?;
    let limit = context.config.max_body;
    let taken = context.take_decoded(body, limit).await?;
    let is_raw =
        ["application/octet-stream", CONTENT_TYPE].contains(&media_type::text(&context.head.headers));
    let (id, envelope) = if is_raw {
        of_dump(&taken.bytes, limit)?
    } else {
        of_form(&form::parse(&context.head.headers, &taken.bytes)?, limit)?
    };
    drop(taken.bytes);
    context.submit_made(project_auth, envelope)?;
    Ok(response::text_id(&id))
}

fn of_dump(body: &[u8], limit: usize) -> Result<(EventId, Vec<u8>), Rejection> {
    let id = EventId::random();
    let part = Part {
        name: None,
        file_name: Some("Minidump".into()),
        content_type: Some(CONTENT_TYPE.into()),
        data: body,
    };
    let mut envelope = envelope_writer::envelope(&id, &[]);
    form::attach(&mut envelope, &part, MINIDUMP, &unpacked(body, limit)?);
    Ok((id, envelope))
}

fn of_form(parts: &[Part<'_>], limit: usize) -> Result<(EventId, Vec<u8>), Rejection> {
    let files = || parts.iter().filter(|part| part.file_name.is_some());
    let dump = files().find(|part| part.name.as_deref() == Some(FIELD));
    let dump = dump.ok_or_else(|| Rejection::bad("missing minidump"))?;
    let id = event_id(parts)?.unwrap_or_else(EventId::random);
    let mut envelope = envelope_writer::envelope(&id, &[]);
    for part in files() {
        if std::ptr::eq(part, dump) {
            let data = unpacked(embedded(part.data)?, limit)?;
            let file_name = part.file_name.as_deref().map(|name| without_container(name).to_owned());
            let part = Part { file_name, content_type: Some(CONTENT_TYPE.into()), name: None, data: &[] };
            form::attach(&mut envelope, &part, MINIDUMP, &data);
        } else {
            form::attach(&mut envelope, part, attachment_type(part.name.as_deref()), part.data);
        }
    }
    form::fields(&mut envelope, parts);
    Ok((id, envelope))
}

fn attachment_type(field: Option<&str>) -> &'static str {
    match field.unwrap_or_default() {
        FIELD => MINIDUMP,
        "__sentry-event" => "event.payload",
        "__sentry-breadcrumb1" | "__sentry-breadcrumb2" => "event.breadcrumbs",
        "view-hierarchy.json" => "event.view_hierarchy",
        _ => "event.attachment",
    }
}

/// The event's id, from the event that native SDKs attach, else from the form's fields.
fn event_id(parts: &[Part<'_>]) -> Result<Option<EventId>, Rejection> {
    let attached = |part: &&Part<'_>| {
        part.file_name.is_some() && attachment_type(part.name.as_deref()) == "event.payload"
    };
    if let Some(event) = parts.iter().find(attached) {
        let invalid = || Rejection::bad("invalid messagepack data");
        let id = msgpack::text_in_map(event.data, "event_id").map_err(|_| invalid())?;
        if let Some(id) = id {
            return EventId::parse(id).map(Some).ok_or_else(invalid);
        }
    }
    Ok(form::event_id(parts))
}

/// Old Electron SDKs for Linux sent a form within the form.
fn embedded(data: &[u8]) -> Result<&[u8], Rejection> {
    let Some(boundary) = multipart::own_boundary(data) else { return Ok(data) };
    let start = data.iter().position(|b| !matches!(b, b'\r' | b'\n')).unwrap_or(0);
    let parts = multipart::parse(data.get(start..).unwrap_or_default(), boundary);
    let parts = parts.map_err(|_| form::malformed("incomplete embedded form"))?;
    Ok(parts.iter().find(|part| part.name.as_deref() == Some(FIELD)).map_or(data, |part| part.data))
}

/// A dump out of the container it may have been packed into, known by its first bytes.
fn unpacked(data: &[u8], limit: usize) -> Result<Cow<'_, [u8]>, Rejection> {
    let container = match data {
        [0x1f, 0x8b, ..] => Some(Encoding::Gzip),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Some(Encoding::Zstd),
        _ => None,
    };
    let dump = match container {
        Some(container) => {
            let unpacked = expanded(container, data, limit);
            let invalid = |rejection: Rejection| match rejection.status.as_u16() {
                413 => rejection,
                _ => Rejection { detail: "invalid compression container".to_owned(), ..rejection },
            };
            Cow::Owned(unpacked.map_err(invalid)?)
        }
        None => Cow::Borrowed(data),
    };
    if dump.starts_with(b"MDMP") || dump.starts_with(b"PMDM") {
        return Ok(dump);
    }
    let rejection = Rejection::bad("invalid minidump");
    // Relay unpacks these too; here they would cost more than they are worth.
    let foreign = data.starts_with(b"\xfd7zXZ\0") || data.starts_with(b"BZh");
    Err(if foreign {
        rejection.because("xz and bzip2 are not supported: use gzip or zstd")
    } else {
        rejection
    })
}

fn without_container(name: &str) -> &str {
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
    fn containers_are_opened_within_the_limit() {
        assert_eq!(&*unpacked(b"MDMP content", LIMIT).unwrap(), b"MDMP content");
        assert_eq!(&*unpacked(&gzip(b"PMDM content"), LIMIT).unwrap(), b"PMDM content");
        let status = |data: &[u8]| unpacked(data, LIMIT).unwrap_err().status.as_u16();
        assert_eq!(status(b"content"), 400);
        assert_eq!(status(&gzip(b"content")), 400);
        assert_eq!(status(b"\x1f\x8bnot gzip"), 400);
        assert_eq!(status(&gzip(&[b'M'; LIMIT + 1])), 413);
    }

    #[test]
    fn a_form_in_the_form() {
        let inner = b"\r\n--in\r\nContent-Disposition: form-data; name=\"upload_file_minidump\"; filename=\"d\"\r\n\r\nMDMP\r\n--in--";
        assert_eq!(embedded(inner).unwrap(), b"MDMP");
        assert_eq!(embedded(b"MDMP").unwrap(), b"MDMP");
        assert!(embedded(&inner[..inner.len() - 4]).is_err());
    }

    #[test]
    fn file_names_lose_the_container() {
        assert_eq!(without_container("a.dmp.gz"), "a.dmp");
        assert_eq!(without_container("a.dmp"), "a.dmp");
    }
}
