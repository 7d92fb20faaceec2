//! A strict parser of Sentry's envelope format. It was written from the specification alone, and shares no code with
//! the extension.

use hyper::body::Bytes;
use serde_json::{Map, Value};

/// One envelope: a header and its items.
#[derive(Clone, Debug)]
pub struct Envelope {
    pub header: Map<String, Value>,
    pub items: Vec<Item>,
}

/// One item: its header and its payload, byte for byte.
#[derive(Clone, Debug)]
pub struct Item {
    pub header: Map<String, Value>,
    pub payload: Bytes,
}

impl Envelope {
    /// Returns the first item of a type (`event`, `transaction`, …).
    pub fn item(&self, kind: &str) -> Option<&Item> {
        self.items.iter().find(|item| item.kind() == kind)
    }
}

impl Item {
    /// Returns the item's `type`.
    pub fn kind(&self) -> &str {
        self.header.get("type").and_then(Value::as_str).unwrap_or_default()
    }

    /// Returns the payload as JSON, or `Null` if it is not JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.payload).unwrap_or_default()
    }
}

/// Parses an envelope, or returns one sentence that says why these bytes are not an envelope.
pub fn parse(bytes: &Bytes) -> Result<Envelope, String> {
    let mut rest = bytes.clone();
    let header = json_line(&mut rest, "envelope header")?;
    let mut items = Vec::new();
    while !rest.is_empty() {
        let at = bytes.len() - rest.len();
        items.push(item(&mut rest).map_err(|why| format!("item {} at byte {at}: {why}", items.len()))?);
    }
    if items.is_empty() {
        return Err("no items".to_owned());
    }
    Ok(Envelope { header, items })
}

fn item(rest: &mut Bytes) -> Result<Item, String> {
    let header = json_line(rest, "item header")?;
    if header.get("type").and_then(Value::as_str).is_none_or(str::is_empty) {
        return Err("no type".to_owned());
    }
    let payload = match header.get("length") {
        None => line(rest),
        Some(length) => {
            let length = length.as_u64().and_then(|length| usize::try_from(length).ok());
            let length = length.ok_or("length is not a number of bytes")?;
            if rest.len() < length {
                return Err(format!("length is {length}, but only {} bytes follow", rest.len()));
            }
            let payload = rest.split_to(length);
            match rest.first() {
                None => {}
                Some(b'\n') => drop(rest.split_to(1)),
                Some(_) => return Err(format!("no newline after {length} bytes of payload")),
            }
            payload
        }
    };
    Ok(Item { header, payload })
}

fn json_line(rest: &mut Bytes, what: &str) -> Result<Map<String, Value>, String> {
    let line = line(rest);
    serde_json::from_slice(&line)
        .map_err(|error| format!("{what} is no JSON object ({error}): {:?}", String::from_utf8_lossy(&line)))
}

/// Removes everything up to the next newline, with the newline, and returns it.
fn line(rest: &mut Bytes) -> Bytes {
    let end = rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len());
    let line = rest.split_to(end);
    if !rest.is_empty() {
        drop(rest.split_to(1));
    }
    line
}

#[test]
fn items_are_split_by_length_and_by_line() {
    let bytes = b"{}\n{\"type\":\"attachment\",\"length\":3}\na\nb\n{\"type\":\"log\"}\n{\"items\":[]}\n";
    let envelope = parse(&Bytes::from_static(bytes)).unwrap();
    assert_eq!(envelope.items[0].payload, "a\nb");
    assert_eq!(envelope.item("log").unwrap().json(), serde_json::json!({"items": []}));
}

#[test]
fn anything_odd_is_refused() {
    for (bytes, why) in [
        (&b""[..], "envelope header"),
        (b"{}\n", "no items"),
        (b"[]\n{\"type\":\"event\"}\n{}", "envelope header"),
        (b"{}\n{\"length\":2}\n{}", "no type"),
        (b"{}\n{\"type\":\"event\",\"length\":3}\n{}", "only 2 bytes"),
        (b"{}\n{\"type\":\"event\",\"length\":1}\n{}", "no newline"),
        (b"{}\n{\"type\":\"event\",\"length\":-1}\n{}", "not a number"),
        (b"{}\n{\"type\":\"event\",\"length\":2}\n{}\n\n", "item header"),
        (b"{}\n{\"type\":\"event\",\"length\":2}\n{}\ntrailing", "item header"),
    ] {
        let error = parse(&Bytes::from_static(bytes)).unwrap_err();
        assert!(error.contains(why), "{error:?} does not name {why:?}");
    }
}
