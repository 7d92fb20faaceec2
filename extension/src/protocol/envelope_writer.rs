//! Writing envelopes: around what came as something else, and the id into the header of one that lacks it.

use super::event_id::EventId;
use serde_json::{Map, Value};

/// The header of an envelope is not a JSON object.
#[derive(Debug)]
pub(crate) struct InvalidHeader(pub(crate) serde_json::Error);

/// The header of an envelope, with further fields.
pub(crate) fn envelope(id: &EventId, fields: &[(&str, &str)]) -> Vec<u8> {
    let mut header = format!("{{\"event_id\":\"{id}\"").into_bytes();
    append(&mut header, fields);
    header.extend_from_slice(b"}\n");
    header
}

/// Adds an item to an envelope.
pub(crate) fn item(envelope: &mut Vec<u8>, kind: &str, fields: &[(&str, &str)], payload: &[u8]) {
    envelope.reserve_exact(payload.len() + 256);
    envelope.extend_from_slice(format!("{{\"type\":\"{kind}\",\"length\":{}", payload.len()).as_bytes());
    append(envelope, fields);
    envelope.extend_from_slice(b"}\n");
    envelope.extend_from_slice(payload);
    envelope.push(b'\n');
}

fn append(header: &mut Vec<u8>, fields: &[(&str, &str)]) {
    for (name, value) in fields {
        header.extend_from_slice(format!(",\"{name}\":{}", Value::from(*value)).as_bytes());
    }
}

/// Puts an event's id into the header of an envelope that has none.
pub(crate) fn with_event_id(mut envelope: Vec<u8>, id: &EventId) -> Result<Vec<u8>, InvalidHeader> {
    let end = envelope.iter().position(|b| *b == b'\n').unwrap_or(envelope.len());
    let header = envelope.get(..end).unwrap_or_default();
    let fields: Map<String, Value> = serde_json::from_slice(header).map_err(InvalidHeader)?;
    if fields.contains_key("event_id") {
        // It is there and says `null`.
        let mut fields = fields;
        fields.insert("event_id".to_owned(), id.to_string().into());
        envelope.splice(..end, Value::from(fields).to_string().into_bytes());
        return Ok(envelope);
    }
    // The rest of the header stays as the SDK wrote it.
    let start = header.iter().position(|b| *b == b'{').map_or(0, |at| at + 1);
    let comma = if fields.is_empty() { "" } else { "," };
    let field = format!("\"event_id\":\"{id}\"{comma}");
    // It may wait for long: what growing by halves would leave behind it is memory that nobody can use.
    envelope.reserve_exact(field.len());
    envelope.splice(start..start, field.into_bytes());
    Ok(envelope)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "f3d98fbd851e4cfeb5a6d4e45a253049";

    #[test]
    fn an_envelope_with_items() {
        let id = EventId::parse(ID).unwrap();
        let mut made = envelope(&id, &[("unreal_user_id", "a\"b")]);
        item(&mut made, "attachment", &[("filename", "ä\n.txt")], b"a\nb");
        let expected = format!(
            "{{\"event_id\":\"{ID}\",\"unreal_user_id\":\"a\\\"b\"}}\n\
             {{\"type\":\"attachment\",\"length\":3,\"filename\":\"ä\\n.txt\"}}\na\nb\n"
        );
        assert_eq!(String::from_utf8(made).unwrap(), expected);
    }

    #[test]
    fn the_id_goes_into_the_header_and_nothing_else_changes() {
        let id = EventId::parse(ID).unwrap();
        for (before, after) in [
            ("{}\nrest\n", format!("{{\"event_id\":\"{ID}\"}}\nrest\n")),
            (" { \"x\" : 1.50 }\nrest", format!(" {{\"event_id\":\"{ID}\", \"x\" : 1.50 }}\nrest")),
            ("{\"event_id\":null,\"a\":1}\nrest", format!("{{\"a\":1,\"event_id\":\"{ID}\"}}\nrest")),
            ("{}", format!("{{\"event_id\":\"{ID}\"}}")),
        ] {
            let written = with_event_id(before.as_bytes().to_vec(), &id).unwrap();
            assert_eq!(String::from_utf8(written).unwrap(), after);
        }
    }
}
