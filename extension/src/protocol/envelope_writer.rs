//! Writes envelopes around data of other formats, and adds an event id to an envelope that has none.

use super::envelope_scanner::leading_blank;
use super::event_id::EventId;
use super::item::{Item, ItemKind};
use super::timestamp;
use serde_json::{Map, Value};
use std::time::SystemTime;

/// The header of an envelope is not a JSON object.
#[derive(Debug)]
pub(crate) struct InvalidHeader(pub(crate) serde_json::Error);

/// Starts an envelope: returns its header line, with the id and the given fields. `fields` are names and values.
pub(crate) fn start(id: &EventId, fields: &[(&str, &str)]) -> Vec<u8> {
    let mut header = format!("{{\"event_id\":\"{id}\"").into_bytes();
    append_fields(&mut header, fields);
    header.extend_from_slice(b"}\n");
    header
}

/// Adds an item to an envelope. `kind` is its type, and `fields` are further header fields.
pub(crate) fn push_item(envelope: &mut Vec<u8>, kind: &str, fields: &[(&str, &str)], payload: &[u8]) {
    envelope.reserve_exact(payload.len() + 256);
    envelope.extend_from_slice(format!("{{\"type\":\"{kind}\",\"length\":{}", payload.len()).as_bytes());
    append_fields(envelope, fields);
    envelope.extend_from_slice(b"}\n");
    envelope.extend_from_slice(payload);
    envelope.push(b'\n');
}

/// What a container holds, without the kind of its things.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Contained {
    pub(crate) count: u32,
    /// The length of the payload, in bytes.
    bytes: usize,
}

impl Contained {
    pub(crate) fn of(self, kind: ItemKind) -> Item {
        Item { kind, count: self.count, bytes: self.bytes }
    }
}

/// Makes an envelope around a container of spans or metrics. `media` is the part of the content type that names them,
/// and `trace` is the trace of all of them, as JSON.
pub(crate) fn container(
    kind: &str,
    media: &str,
    trace: Option<&str>,
    items: &[Value],
) -> (Contained, Vec<u8>) {
    let mut written = Vec::new();
    // Writing to a vector does not fail.
    let _ = serde_json::to_writer(&mut written, items);
    container_of(kind, media, trace, items.len(), &written)
}

/// Does the same with `count` items that are written already, as a JSON array.
pub(crate) fn container_of(
    kind: &str,
    media: &str,
    trace: Option<&str>,
    count: usize,
    items: &[u8],
) -> (Contained, Vec<u8>) {
    // Relay is told not to add data about a browser, which it would take from the headers of the request.
    const START: &str =
        r#"{"version":2,"ingest_settings":{"infer_ip":"never","infer_user_agent":"never"},"items":"#;
    let mut envelope = own_header(trace);
    let bytes = START.len() + items.len() + 1;
    let head = format!(
        concat!(
            "{{\"type\":\"{}\",\"item_count\":{},",
            "\"content_type\":\"application/vnd.sentry.items.{}+json\",\"length\":{}}}\n{}",
        ),
        kind, count, media, bytes, START,
    );
    envelope.reserve_exact(head.len() + items.len() + 2);
    envelope.extend_from_slice(head.as_bytes());
    envelope.extend_from_slice(items);
    envelope.extend_from_slice(b"}\n");
    (Contained { count: u32::try_from(count).unwrap_or(u32::MAX), bytes }, envelope)
}

/// Makes an envelope around one item that belongs to no event.
pub(crate) fn single(kind: &str, item: &Value) -> (Contained, Vec<u8>) {
    let mut envelope = own_header(None);
    let payload = item.to_string();
    push_item(&mut envelope, kind, &[], payload.as_bytes());
    (Contained { count: 1, bytes: payload.len() }, envelope)
}

/// The header of an envelope that the extension itself makes, without an event. `trace` is JSON.
fn own_header(trace: Option<&str>) -> Vec<u8> {
    let trace = trace.map(|trace| format!(",\"trace\":{trace}")).unwrap_or_default();
    let sent_at = timestamp::format(SystemTime::now());
    let version = env!("CARGO_PKG_VERSION");
    let sdk = format!("{{\"name\":\"sentry.aws-lambda-extension\",\"version\":\"{version}\"}}");
    format!("{{\"sent_at\":\"{sent_at}\",\"sdk\":{sdk}{trace}}}\n").into_bytes()
}

fn append_fields(header: &mut Vec<u8>, fields: &[(&str, &str)]) {
    for (name, value) in fields {
        header.extend_from_slice(format!(",\"{name}\":{}", Value::from(*value)).as_bytes());
    }
}

/// Sets the event id in the header of an uncompressed envelope. Fails if the header is not a JSON object.
pub(crate) fn with_event_id(mut envelope: Vec<u8>, id: &EventId) -> Result<Vec<u8>, InvalidHeader> {
    let begin = leading_blank(&envelope);
    let after = envelope.get(begin..).unwrap_or_default();
    let end = begin + after.iter().position(|b| *b == b'\n').unwrap_or(after.len());
    let header = envelope.get(begin..end).unwrap_or_default();
    let fields: Map<String, Value> = serde_json::from_slice(header).map_err(InvalidHeader)?;
    if fields.contains_key("event_id") {
        // The field exists with the value `null`, so the header is written anew.
        let mut fields = fields;
        fields.insert("event_id".to_owned(), id.to_string().into());
        envelope.splice(begin..end, Value::from(fields).to_string().into_bytes());
        return Ok(envelope);
    }
    // The id is inserted as the first field, and the rest of the header stays as the SDK wrote it.
    let start = begin + usize::from(header.starts_with(b"{"));
    let comma = if fields.is_empty() { "" } else { "," };
    let field = format!("\"event_id\":\"{id}\"{comma}");
    // The envelope may stay in the queue for a long time. Exact growth leaves no unused capacity behind it.
    envelope.reserve_exact(field.len());
    envelope.splice(start..start, field.into_bytes());
    Ok(envelope)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "f3d98fbd851e4cfeb5a6d4e45a253049";

    #[test]
    fn envelopes_with_items() {
        let id = EventId::parse(ID).unwrap();
        let mut made = start(&id, &[("unreal_user_id", "a\"b")]);
        push_item(&mut made, "attachment", &[("filename", "ä\n.txt")], b"a\nb");
        let expected = format!(
            "{{\"event_id\":\"{ID}\",\"unreal_user_id\":\"a\\\"b\"}}\n\
             {{\"type\":\"attachment\",\"length\":3,\"filename\":\"ä\\n.txt\"}}\na\nb\n"
        );
        assert_eq!(String::from_utf8(made).unwrap(), expected);
    }

    #[test]
    fn the_id_is_added_and_nothing_else_changes() {
        let id = EventId::parse(ID).unwrap();
        for (before, after) in [
            ("{}\nrest\n", format!("{{\"event_id\":\"{ID}\"}}\nrest\n")),
            (" { \"x\" : 1.50 }\nrest", format!(" {{\"event_id\":\"{ID}\", \"x\" : 1.50 }}\nrest")),
            ("{\"event_id\":null,\"a\":1}\nrest", format!("{{\"a\":1,\"event_id\":\"{ID}\"}}\nrest")),
            ("\n\n{}\nrest", format!("\n\n{{\"event_id\":\"{ID}\"}}\nrest")),
            ("{}", format!("{{\"event_id\":\"{ID}\"}}")),
        ] {
            let written = with_event_id(before.as_bytes().to_vec(), &id).unwrap();
            assert_eq!(String::from_utf8(written).unwrap(), after);
        }
    }
}
