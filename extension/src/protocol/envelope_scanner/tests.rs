//! Tests of valid and invalid envelopes, scanned as a whole and in blocks.

use super::*;

fn scan(body: &[u8], block: usize) -> Result<Scanned, ScanError> {
    let mut scanner = Scanner::new();
    for block in body.chunks(block) {
        scanner.feed(block)?;
    }
    scanner.finish()
}

/// Scans a body in blocks of different sizes, and checks that the result is always the same.
fn scan_all(body: &[u8]) -> Result<Scanned, ScanError> {
    let whole = scan(body, body.len().max(1));
    for block in 1..body.len().min(40) {
        assert_eq!(scan(body, block), whole, "in blocks of {block}");
    }
    whole
}

#[test]
fn items_with_and_without_length() {
    let body = b"{\"event_id\":\"x\",\"dsn\":\"d\",\"sdk\":{\"name\":\"n\"}}\n\
        {\"type\":\"event\",\"length\":5}\n{\n}\n \n{\"type\":\"attachment\",\"length\":0}\n\n\
        {\"type\":\"span\"}\n{}\n{\"type\":\"no such thing\"}\nlast";
    let scanned = scan_all(body).unwrap();
    assert_eq!(scanned.header, Header { event_id: Some("x".into()), dsn: Some("d".into()) });
    let item = |kind, bytes| Item { kind, count: 1, bytes };
    let items = [
        item(ItemKind::Event, 5),
        item(ItemKind::Attachment, 0),
        item(ItemKind::Span, 2),
        item(ItemKind::Other, 4),
    ];
    assert_eq!(scanned.items, items);
    assert!(scanned.needs_event_id);
    assert!(!scan_all(b"{}\n{\"type\":\"log\"}\n{}").unwrap().needs_event_id);
}

#[test]
fn last_lines_with_and_without_a_newline() {
    for body in ["{}", "{}\n", "{}\n{\"type\":\"event\"}", "{}\n{\"type\":\"event\"}\n{}\n"] {
        assert!(scan_all(body.as_bytes()).is_ok(), "{body}");
    }
    assert!(scan_all(b"{}\n{\"type\":\"event\",\"length\":2}\n{}").is_ok());
    assert!(scan_all(b"{}\n{\"type\":\"event\",\"length\":0}").is_ok());
}

#[test]
fn invalid_framing_is_rejected() {
    for (body, error) in [
        ("", ScanError::Empty),
        ("{}\n{\"type\":\"event\",\"length\":3}\n{}", ScanError::Truncated),
        ("{}\n{\"type\":\"event\",\"length\":3}", ScanError::Truncated),
        ("{}\n{\"type\":\"event\",\"length\":2}\n{}x\n", ScanError::MissingNewline),
    ] {
        assert_eq!(scan_all(body.as_bytes()), Err(error), "{body}");
    }
    assert!(matches!(scan(b"nonsense\n", 99), Err(ScanError::Header(_))));
    assert!(matches!(scan(b"{}\n{\"length\":2}\n{}", 99), Err(ScanError::ItemHeader(_))));
}

#[test]
fn size_limits_are_enforced() {
    let mut many = b"{}\n".to_vec();
    many.extend(b"{\"type\":\"span\"}\n{}\n".repeat(MAX_ITEMS));
    assert!(scan(&many, 1000).is_ok());
    many.extend(b"{\"type\":\"span\"}\n{}\n");
    assert_eq!(scan(&many, 1000), Err(ScanError::TooManyItems));
    assert_eq!(scan(&vec![b' '; MAX_LINE + 1], 1000), Err(ScanError::HeaderTooLong));
    let two = b"{}\n{\"type\":\"event\"}\n{}\n{\"type\":\"transaction\"}\n{}";
    assert_eq!(scan_all(two), Err(ScanError::TooLarge("transaction")));
    let announced = b"{}\n{\"type\":\"check_in\",\"length\":102401}\n";
    assert_eq!(scan_all(announced), Err(ScanError::TooLarge("check_in")));
    let long = [&b"{}\n{\"type\":\"check_in\"}\n"[..], &vec![b' '; 102_401]].concat();
    assert_eq!(scan(&long, 1000), Err(ScanError::TooLarge("check_in")));
}

/// Sentry's Relay reads the headers as a stream of JSON, which skips white space before each.
#[test]
fn blank_lines_before_headers_are_skipped_as_sentrys_relay_does() {
    let spaced = b"\n{}\n\n \t\r\n{\"type\":\"event\"}\n{}\n\n\n{\"type\":\"span\",\"length\":2}\n{}\n";
    assert_eq!(scan_all(spaced).unwrap().items.len(), 2);
    for end in [&b"\n"[..], b"\n\n", b" ", b"\n \r\n"] {
        let body = [&spaced[..], end].concat();
        assert_eq!(scan_all(&body), Err(ScanError::Truncated), "{end:?}");
    }
    assert_eq!(scan_all(b"{}\n\n"), Err(ScanError::Truncated));
}

#[test]
fn headers_that_are_not_utf8_are_refused_as_sentrys_relay_does() {
    for body in [&b"{\"unknown\":\"\xff\"}\n"[..], b"{\"\xff\":1}"] {
        assert!(matches!(scan_all(body), Err(ScanError::Header(_))));
    }
    let item = b"{}\n{\"type\":\"event\",\"filename\":\"\xe9\"}\n{}";
    assert!(matches!(scan_all(item), Err(ScanError::ItemHeader(_))));
    assert!(scan_all(b"{\"unknown\":\"\xc3\xa9\"}\n{\"type\":\"event\"}\n\"\xff\"").is_ok());
}
