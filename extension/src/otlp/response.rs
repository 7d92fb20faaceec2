//! Writes the bodies of responses: that everything, or a part, was accepted, or why nothing was.

use super::{Format, Signal};
use serde_json::json;

/// Writes the response to a request that was accepted. `rejected` says how many spans, logs or data points were not,
/// and why. A client must not send these again.
pub(crate) fn accepted(format: Format, signal: Signal, rejected: u64, why: &str) -> Vec<u8> {
    if rejected == 0 && why.is_empty() {
        // An empty message means that all is well. Each encoding writes it differently.
        return if format == Format::Json { b"{}".to_vec() } else { Vec::new() };
    }
    match format {
        Format::Json => {
            let name = match signal {
                Signal::Traces => "rejectedSpans",
                Signal::Logs => "rejectedLogRecords",
                Signal::Metrics => "rejectedDataPoints",
            };
            // JSON has numbers of 64 bits as texts.
            let partial = json!({ name: rejected.to_string(), "errorMessage": why });
            json!({ "partialSuccess": partial }).to_string().into_bytes()
        }
        Format::Protobuf => {
            let mut partial = Vec::new();
            if rejected > 0 {
                partial.push(1 << 3);
                push_varint(&mut partial, rejected);
            }
            push_bytes(&mut partial, 2, why.as_bytes());
            let mut response = Vec::new();
            push_bytes(&mut response, 1, &partial);
            response
        }
    }
}

/// Writes a `Status`, which says why a request was refused. Its code is left out, because clients go by that of HTTP.
pub(crate) fn status(format: Format, message: &str) -> Vec<u8> {
    match format {
        Format::Json => json!({ "message": message }).to_string().into_bytes(),
        Format::Protobuf => {
            let mut status = Vec::new();
            push_bytes(&mut status, 2, message.as_bytes());
            status
        }
    }
}

fn push_bytes(out: &mut Vec<u8>, number: u8, bytes: &[u8]) {
    out.push(number << 3 | 2);
    push_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

fn push_varint(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(u8::try_from(number & 0x7f).unwrap_or_default() | 0x80);
        number >>= 7;
    }
    out.push(u8::try_from(number).unwrap_or_default());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn responses_in_both_encodings() {
        assert_eq!(accepted(Format::Json, Signal::Logs, 0, ""), b"{}");
        assert_eq!(accepted(Format::Protobuf, Signal::Logs, 0, ""), b"");
        let json = accepted(Format::Json, Signal::Metrics, 300, "a \"reason\"");
        let expected = r#"{"partialSuccess":{"errorMessage":"a \"reason\"","rejectedDataPoints":"300"}}"#;
        assert_eq!(String::from_utf8(json).unwrap(), expected);
        assert_eq!(
            accepted(Format::Protobuf, Signal::Traces, 300, "why"),
            b"\x0a\x08\x08\xac\x02\x12\x03why"
        );
        assert_eq!(accepted(Format::Protobuf, Signal::Traces, 0, "why"), b"\x0a\x05\x12\x03why");
        assert_eq!(status(Format::Json, "no"), b"{\"message\":\"no\"}");
        assert_eq!(status(Format::Protobuf, &"x".repeat(200))[..3], *b"\x12\xc8\x01");
    }
}
