//! `/store/`: what SDKs posted before envelopes, a bare JSON event. It goes upstream as an envelope, as Relay sends it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use std::io::Read as _;

/// Largest event, decompressed; Relay's bound for this route.
pub(super) const MAX_EVENT: usize = 1 << 20;

/// An event that became an envelope.
pub(super) struct Wrapped {
    pub(super) event_id: String,
    /// The envelope's type of item: `event`, `transaction` or `security`.
    pub(super) item_type: &'static str,
    pub(super) body: Vec<u8>,
}

/// Why a body is no event.
pub(super) enum StoreError {
    Empty,
    TooLarge,
    Encoding,
    Json(String),
}

#[derive(Deserialize)]
struct Event {
    event_id: Option<String>,
    r#type: Option<String>,
}

/// Puts an envelope around an event. `new_id` is asked where the event has no id.
pub(super) fn wrap(body: Vec<u8>, new_id: impl FnOnce() -> String) -> Result<Wrapped, StoreError> {
    let event_json = plain(body)?;
    if event_json.is_empty() {
        return Err(StoreError::Empty);
    }
    let event: Event = serde_json::from_slice(&event_json).map_err(|e| StoreError::Json(e.to_string()))?;
    let event_id = event.event_id.map(|id| id.replace('-', "").to_ascii_lowercase());
    let event_id = event_id.filter(|id| is_event_id(id)).unwrap_or_else(new_id);
    let item_type = match event.r#type.as_deref() {
        Some("transaction") => "transaction",
        Some("csp" | "hpkp" | "expectct" | "expectstaple") => "security",
        _ => "event",
    };
    let length = event_json.len();
    let mut body = format!(
        "{{\"event_id\":\"{event_id}\"}}\n\
         {{\"type\":\"{item_type}\",\"length\":{length},\"content_type\":\"application/json\"}}\n"
    )
    .into_bytes();
    body.extend_from_slice(&event_json);
    body.push(b'\n');
    Ok(Wrapped { event_id, item_type, body })
}

fn is_event_id(id: &str) -> bool {
    id.len() == 32 && id.bytes().all(|b| b.is_ascii_hexdigit())
}

/// The oldest SDKs sent base64 of zlib, with no header to say so.
fn plain(body: Vec<u8>) -> Result<Vec<u8>, StoreError> {
    if body.first().is_none_or(|b| *b == b'{' || b.is_ascii_whitespace()) {
        return Ok(body);
    }
    let binary = STANDARD.decode(body.trim_ascii()).map_err(|_| StoreError::Encoding)?;
    if binary.starts_with(b"{") {
        return Ok(binary);
    }
    let mut event = Vec::new();
    let limit = MAX_EVENT as u64 + 1;
    let mut inflated = flate2::bufread::ZlibDecoder::new(binary.as_slice()).take(limit);
    inflated.read_to_end(&mut event).map_err(|_| StoreError::Encoding)?;
    if event.len() > MAX_EVENT { Err(StoreError::TooLarge) } else { Ok(event) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    const ID: &str = "f3d98fbd851e4cfeb5a6d4e45a253049";

    fn wrapped(body: &[u8]) -> Wrapped {
        wrap(body.to_vec(), || "0".repeat(32)).unwrap_or_else(|_| panic!("{body:?} is refused"))
    }

    #[test]
    fn the_event_stays_as_it_was() {
        let event = format!("{{\"event_id\":\"{ID}\", \"message\":\"a\\nb\"}}");
        let envelope = wrapped(event.as_bytes());
        assert_eq!(envelope.event_id, ID);
        let expected = format!(
            "{{\"event_id\":\"{ID}\"}}\n{{\"type\":\"event\",\"length\":{},\"content_type\":\"application/json\"}}\n{event}\n",
            event.len()
        );
        assert_eq!(String::from_utf8(envelope.body).unwrap(), expected);
    }

    #[test]
    fn ids_and_types() {
        assert_eq!(wrapped(b"{}").event_id, "0".repeat(32));
        assert_eq!(wrapped(b"{\"event_id\":\"nonsense\"}").event_id, "0".repeat(32));
        assert_eq!(wrapped(b"{\"event_id\":\"F3D98FBD-851E-4CFE-B5A6-D4E45A253049\"}").event_id, ID);
        assert_eq!(wrapped(b"{\"type\":\"transaction\"}").item_type, "transaction");
        assert_eq!(wrapped(b"{\"type\":\"error\"}").item_type, "event");
    }

    #[test]
    fn what_raven_sent() {
        let mut zlib = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
        zlib.write_all(b"{\"type\":\"transaction\"}").unwrap();
        let body = STANDARD.encode(zlib.finish().unwrap());
        assert_eq!(wrapped(body.as_bytes()).item_type, "transaction");
    }

    #[test]
    fn no_event() {
        let refused = |body: &[u8]| wrap(body.to_vec(), String::new).err().unwrap();
        assert!(matches!(refused(b""), StoreError::Empty));
        assert!(matches!(refused(b"!?"), StoreError::Encoding));
        assert!(matches!(refused(b"{nonsense"), StoreError::Json(_)));
        let mut zlib = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
        zlib.write_all(&vec![b' '; MAX_EVENT + 1]).unwrap();
        assert!(matches!(refused(STANDARD.encode(zlib.finish().unwrap()).as_bytes()), StoreError::TooLarge));
    }
}
