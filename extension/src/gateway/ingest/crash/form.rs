//! A crash report's form as the items of an envelope: files are attachments, all other fields go together.

use super::multipart::{self, Part};
use crate::gateway::media_type::{self, parameter};
use crate::gateway::response::rejection::Rejection;
use crate::protocol::envelope_writer;
use crate::protocol::event_id::EventId;
use hyper::HeaderMap;

/// Splits a request's form into its fields.
pub(in crate::gateway) fn parse<'a>(headers: &HeaderMap, body: &'a [u8]) -> Result<Vec<Part<'a>>, Rejection> {
    let is_form = media_type::essence(headers).as_deref() == Some("multipart/form-data");
    let boundary = parameter(media_type::text(headers), "boundary").filter(|_| is_form);
    let boundary = boundary.ok_or_else(|| malformed("no boundary"))?;
    multipart::parse(body, &boundary).map_err(|_| malformed("incomplete multipart data"))
}

pub(in crate::gateway) fn malformed(cause: &str) -> Rejection {
    Rejection::bad("invalid multipart data").because(cause)
}

/// Adds a file to an envelope.
pub(in crate::gateway) fn attach(
    envelope: &mut Vec<u8>,
    part: &Part<'_>,
    attachment_type: &str,
    data: &[u8],
) {
    let file_name = part.file_name.as_deref().unwrap_or_default();
    let content_type = part.content_type.as_deref().unwrap_or("application/octet-stream");
    let fields =
        [("attachment_type", attachment_type), ("content_type", content_type), ("filename", file_name)];
    envelope_writer::item(envelope, "attachment", &fields, data);
}

/// Adds the fields that are no files to an envelope: names and values, each behind its length.
pub(in crate::gateway) fn fields(envelope: &mut Vec<u8>, parts: &[Part<'_>]) {
    let mut data = Vec::new();
    for (name, value) in plain(parts) {
        for text in [name, &*value] {
            let length = u32::try_from(text.len()).unwrap_or(u32::MAX);
            data.extend_from_slice(&length.to_le_bytes());
            data.extend_from_slice(text.as_bytes());
        }
    }
    if !data.is_empty() {
        envelope_writer::item(envelope, "form_data", &[("content_type", "text/plain")], &data);
    }
}

/// The event's id, if a field says it. A field that makes no sense says nothing.
pub(in crate::gateway) fn event_id(parts: &[Part<'_>]) -> Option<EventId> {
    plain(parts).find_map(|(name, value)| match name {
        "sentry" => {
            let event: serde_json::Value = serde_json::from_str(&value).ok()?;
            EventId::parse(event.get("event_id")?.as_str()?)
        }
        "sentry[event_id]" => EventId::parse(&value),
        _ => None,
    })
}

fn plain<'a>(parts: &'a [Part<'_>]) -> impl Iterator<Item = (&'a str, std::borrow::Cow<'a, str>)> {
    let fields = parts.iter().filter(|part| part.file_name.is_none());
    fields.filter_map(|part| Some((part.name.as_deref()?, String::from_utf8_lossy(part.data))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field<'a>(name: &str, file_name: Option<&str>, data: &'a [u8]) -> Part<'a> {
        Part {
            name: Some(name.to_owned()),
            file_name: file_name.map(str::to_owned),
            content_type: None,
            data,
        }
    }

    #[test]
    fn fields_are_serialized_behind_their_lengths() {
        let mut envelope = Vec::new();
        fields(
            &mut envelope,
            &[field("a", None, b"xyz"), field("f", Some("file"), b"no"), field("b", None, b"")],
        );
        let expected = b"{\"type\":\"form_data\",\"length\":21,\"content_type\":\"text/plain\"}\n\
            \x01\0\0\0a\x03\0\0\0xyz\x01\0\0\0b\0\0\0\0\n";
        assert_eq!(envelope, expected);
        let mut none = Vec::new();
        fields(&mut none, &[field("f", Some("file"), b"no")]);
        assert!(none.is_empty());
    }

    #[test]
    fn ids_in_fields() {
        const ID: &str = "2dd132e467174db48dbaddabd3cbed57";
        let json = format!("{{\"event_id\":\"{ID}\"}}");
        for (name, value, found) in [
            ("sentry", &*json, true),
            ("sentry[event_id]", ID, true),
            ("sentry", "{{{{", false),
            ("sentry__1", &*json, false),
        ] {
            assert_eq!(event_id(&[field(name, None, value.as_bytes())]).is_some(), found, "{name} {value}");
        }
    }
}
