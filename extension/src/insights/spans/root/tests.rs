use super::*;
use crate::config::{ProjectId, PublicKey, Upstream};
use crate::protocol::{Scanner, decode_all, split_envelope};
use std::sync::Arc;

const REQUEST: &str = "8442603f-da10-42d2-bf58-c33a31978aad";
const KEY: &str = "5b0ff8a1e2c94d7fb7a3c1d2e4f60718";

fn target() -> ReportTarget {
    ReportTarget {
        upstream: Arc::new(Upstream::parse("http://127.0.0.1:1").unwrap()),
        key: PublicKey::parse(KEY).unwrap(),
        project: ProjectId::parse("42").unwrap(),
    }
}

/// The envelope of a recorded request, without chunks and compression.
fn recorded(name: &str) -> Vec<u8> {
    let file = format!("{}/tests/fixtures/traces/{name}.http", env!("CARGO_MANIFEST_DIR"));
    let raw = std::fs::read(file).unwrap();
    let end = memmem::find(&raw, b"\r\n\r\n").unwrap();
    let head = String::from_utf8(raw[..end].to_vec()).unwrap().to_ascii_lowercase();
    let mut body = raw[end + 4..].to_vec();
    if head.contains("transfer-encoding: chunked") {
        let (mut rest, mut whole) = (&body[..], Vec::new());
        loop {
            let line = memmem::find(rest, b"\r\n").unwrap();
            let length = usize::from_str_radix(std::str::from_utf8(&rest[..line]).unwrap(), 16).unwrap();
            if length == 0 {
                break;
            }
            whole.extend_from_slice(&rest[line + 2..line + 2 + length]);
            rest = &rest[line + length + 4..];
        }
        body = whole;
    }
    let encoding = if head.contains("content-encoding: gzip") {
        crate::protocol::Encoding::Gzip
    } else {
        crate::protocol::Encoding::Identity
    };
    decode_all(encoding, &body, 1 << 20).unwrap()
}

fn read(plain: &[u8]) -> TraceNote {
    let mut scanner = Scanner::new();
    scanner.feed(plain).unwrap();
    let kinds: Vec<ItemKind> = scanner.finish().unwrap().items.iter().map(|item| item.kind).collect();
    let (header, payloads) = split_envelope(plain);
    TraceNote::read(header, kinds.into_iter().zip(payloads), &target())
}

/// Returns the DSC's trace id, the root's span id, the request that it names, and whether it is the function's.
fn root(name: &str) -> (String, Option<String>, bool) {
    let TraceNote { is_tracing, mut roots } = read(&recorded(name));
    assert!(is_tracing && roots.len() == 1, "{name}: {roots:?}");
    let root = roots.pop().unwrap();
    let trace: serde_json::Value = serde_json::from_str(&root.trace).unwrap();
    assert_eq!((&trace["trace_id"], &trace["public_key"]), (&(*root.trace_id).into(), &KEY.into()), "{name}");
    (root.span_id, root.request, root.is_of_function)
}

#[test]
fn the_roots_that_sentrys_sdks_send() {
    let request = Some(REQUEST.to_owned());
    assert_eq!(root("python-transaction"), ("8d2a7ba87a0a7926".to_owned(), None, true));
    assert_eq!(root("python-stream"), ("abcfaa4790af19a8".to_owned(), request.clone(), true));
    assert_eq!(root("node-transaction"), ("a377f6a8c3f83e2f".to_owned(), None, true));
    assert_eq!(root("node-stream"), ("8596978bab1b144b".to_owned(), request, true));
    assert_eq!(root("node-transaction-by-hand"), ("a0c67911bd9c9cc4".to_owned(), None, false));
}

#[test]
fn what_sdks_send_of_traces_that_are_not_sampled() {
    for name in ["python-unsampled-event", "python-unsampled-report", "node-unsampled-report"] {
        assert_eq!(read(&recorded(name)), TraceNote { is_tracing: true, roots: Vec::new() }, "{name}");
    }
}

fn transaction(trace: &str, payload: &str) -> TraceNote {
    let plain = format!(
        "{{\"trace\":{trace}}}\n{{\"type\":\"transaction\",\"length\":{}}}\n{payload}\n",
        payload.len()
    );
    read(plain.as_bytes())
}

#[test]
fn nothing_is_sent_in_a_trace_that_is_odd_or_not_sampled() {
    let trace = "67d448e83ae320be0e2cdf2f53ccdaba";
    let payload =
        format!(r#"{{"contexts":{{"trace":{{"trace_id":"{trace}","span_id":"35465b3a9e2f7c6a","op":7}}}}}}"#);
    let dsc = |fields: &str| format!(r#"{{"trace_id":"{trace}","public_key":"{KEY}"{fields}}}"#);
    assert_eq!(transaction(&dsc(r#","sampled":"true""#), &payload).roots.len(), 1);
    assert_eq!(transaction(&dsc(r#","sampled":true"#), &payload).roots.len(), 1);
    let sampled = dsc(r#","sampled":"true""#);
    for (dsc, payload) in [
        (dsc(r#","sampled":"false""#), &*payload),
        (dsc(""), &payload),
        (r#"{"sampled":"true"}"#.to_owned(), &payload),
        (sampled.replace(trace, &"1".repeat(32)), &payload),
        (sampled.replace("public_key", "key"), &payload),
        (dsc(&format!(r#","sampled":"true","x":"{}""#, "x".repeat(MAX_TRACE))), &payload),
        (sampled.clone(), r#"{"contexts":{}}"#),
        (sampled.clone(), r#"{"contexts":{"trace":{"trace_id":"x","span_id":"y"}}}"#),
        (sampled, "[]"),
        ("7".to_owned(), &payload),
    ] {
        assert_eq!(
            transaction(&dsc, payload),
            TraceNote { is_tracing: true, roots: Vec::new() },
            "{dsc} {payload}"
        );
    }
}
