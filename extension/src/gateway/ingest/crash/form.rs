//! Converts a crash report's form to items of an envelope. Each file becomes an attachment, and all other fields
//! together become one `form_data` item.

use super::multipart::{self, Part};
use crate::gateway::ingest::MAX_EVENT;
use crate::gateway::media_type::{self, parameter};
use crate::gateway::response::rejection::Rejection;
use crate::protocol::envelope_writer;
use crate::protocol::event_id::EventId;
use crate::protocol::json_fields::{fields, text};
use hyper::HeaderMap;

/// Splits a request's form into its parts. Fails if the body is not a complete multipart form, or if its text is longer
/// than upstream accepts.
pub(super) fn parse<'a>(headers: &HeaderMap, body: &'a [u8]) -> Result<Vec<Part<'a>>, Rejection> {
    let is_form = media_type::essence(headers).as_deref() == Some("multipart/form-data");
    let boundary = parameter(media_type::content_type(headers), "boundary").filter(|_| is_form);
    let boundary = boundary.ok_or_else(|| malformed("no boundary"))?;
    let parts = multipart::parse(body, &boundary).map_err(|why| malformed(&why.to_string()))?;
    // Checked before the text is copied: the copy of text that is not UTF-8 takes three times as much.
    let text = parts.iter().filter(|part| part.file_name.is_none()).map(|part| part.data.len());
    if text.sum::<usize>() > MAX_EVENT { Err(Rejection::too_large()) } else { Ok(parts) }
}

pub(super) fn malformed(cause: &str) -> Rejection {
    Rejection::bad_request("invalid multipart data").because(cause)
}

/// Adds `data` to an envelope as an attachment, with the name and content type of `part`.
pub(super) fn add_attachment(envelope: &mut Vec<u8>, part: &Part<'_>, attachment_type: &str, data: &[u8]) {
    let file_name = part.file_name.as_deref().unwrap_or_default();
    let content_type = part.content_type.as_deref().unwrap_or("application/octet-stream");
    let fields =
        [("attachment_type", attachment_type), ("content_type", content_type), ("filename", file_name)];
    envelope_writer::push_item(envelope, "attachment", &fields, data);
}

/// Adds the fields that are not files to an envelope, as one item. Each name and each value stands after its length,
/// a little-endian `u32`, as Sentry expects it.
pub(super) fn add_fields(envelope: &mut Vec<u8>, parts: &[Part<'_>]) {
    let mut data = Vec::new();
    for (name, value) in text_fields(parts) {
        for text in [name, &*value] {
            let length = u32::try_from(text.len()).unwrap_or(u32::MAX);
            data.extend_from_slice(&length.to_le_bytes());
            data.extend_from_slice(text.as_bytes());
        }
    }
    if !data.is_empty() {
        envelope_writer::push_item(envelope, "form_data", &[("content_type", "text/plain")], &data);
    }
}

/// The event's id from the form's fields. Fields that cannot be read are ignored.
pub(super) fn event_id(parts: &[Part<'_>]) -> Option<EventId> {
    text_fields(parts).find_map(|(name, value)| match name {
        "sentry" => {
            let [id] = fields(value.as_bytes(), ["event_id"])?;
            EventId::parse(&text(id)?)
        }
        "sentry[event_id]" => EventId::parse(&value),
        _ => None,
    })
}

fn text_fields<'a>(parts: &'a [Part<'_>]) -> impl Iterator<Item = (&'a str, std::borrow::Cow<'a, str>)> {
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
    fn fields_are_serialized_after_their_lengths() {
        let mut envelope = Vec::new();
        add_fields(
            &mut envelope,
            &[field("a", None, b"xyz"), field("f", Some("file"), b"no"), field("b", None, b"")],
        );
        let expected = b"{\"type\":\"form_data\",\"length\":21,\"content_type\":\"text/plain\"}\n\
            \x01\0\0\0a\x03\0\0\0xyz\x01\0\0\0b\0\0\0\0\n";
        assert_eq!(envelope, expected);
        let mut none = Vec::new();
        add_fields(&mut none, &[field("f", Some("file"), b"no")]);
        assert!(none.is_empty());
    }

    #[test]
    fn event_ids_in_fields() {
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
