//! Attacks Sentry's formats: envelopes, content encodings and DSNs. As in all of `fuzzing`, a panic is how a body
//! reports what is wrong.

use crate::config::{AllowedHosts, Dsn};
use crate::protocol::{
    Encoding, Scanned, Scanner, decode, envelope_writer, event_id::EventId, keep_items, sent_at,
    visit_payloads,
};
use std::time::Duration;

const LIMIT: usize = 64 * 1024;

fn scan<'a>(blocks: impl Iterator<Item = &'a [u8]>) -> Result<Scanned, crate::protocol::ScanError> {
    let mut scanner = Scanner::new();
    for block in blocks {
        scanner.feed(block)?;
    }
    scanner.finish()
}

/// A scanner finds the same in an envelope however the envelope is divided, and takes no more bytes than there are.
pub fn envelope_scanner(data: &[u8]) {
    let whole = scan(std::iter::once(data));
    for size in [1, 2, 7, 1 + data.len() / 2] {
        assert_eq!(scan(data.chunks(size)), whole, "in blocks of {size} bytes");
    }
    let mut noting = Scanner::with_note();
    if noting.feed(data).is_ok() {
        let note = noting.into_note();
        let texts = [note.request, note.trace_id, note.span_id, note.release, note.environment];
        assert!(texts.into_iter().flatten().all(|text| text.len() <= data.len()));
    }
    if let Ok(scanned) = whole {
        let bytes: usize = scanned.items.iter().map(|item| item.bytes).sum();
        assert!(bytes <= data.len());
    }
}

/// The items that are kept are those that were asked for, byte for byte, and what is written can be read again.
pub fn envelope_filter(data: &[u8]) {
    let Ok(scanned) = scan(std::iter::once(data)) else { return };
    let payloads = payloads(data);
    assert_eq!(payloads.len(), scanned.items.len());
    for pattern in [u64::MAX, 0, 0x5555_5555_5555_5555, data.len() as u64] {
        let keep: Vec<bool> = (0..scanned.items.len()).map(|n| pattern >> (n % 64) & 1 == 1).collect();
        let kept =
            keep_items(Encoding::Identity, data, usize::MAX, &keep).expect("a scanned envelope can be split");
        let again = scan(std::iter::once(&kept[..])).expect("what was kept is an envelope");
        assert_eq!(again.header, scanned.header);
        assert_eq!(again.items, chosen(&scanned.items, &keep));
        assert_eq!(self::payloads(&kept), chosen(&payloads, &keep));
    }
    let id = EventId::parse("f3d98fbd851e4cfeb5a6d4e45a253049").unwrap();
    if scanned.header.event_id.is_none()
        && let Ok(with_id) = envelope_writer::with_event_id(data.to_vec(), &id)
    {
        let again = scan(std::iter::once(&with_id[..])).expect("an id breaks no envelope");
        assert_eq!(again.header.event_id, Some(id.to_string()));
        assert_eq!((again.header.dsn, again.items), (scanned.header.dsn.clone(), scanned.items.clone()));
    }
    if let Some(later) = sent_at::delayed(Encoding::Identity, data, usize::MAX, Duration::from_hours(1)) {
        let again = scan(std::iter::once(&later[..])).expect("another time breaks no envelope");
        assert_eq!(again, scanned);
    }
}

fn chosen<T: Clone>(all: &[T], keep: &[bool]) -> Vec<T> {
    all.iter().zip(keep).filter(|(_, keep)| **keep).map(|(one, _)| one.clone()).collect()
}

fn payloads(envelope: &[u8]) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    visit_payloads(Encoding::Identity, envelope, usize::MAX, |payload| all.push(payload.to_vec()));
    all
}

/// No body decodes to more than the limit, and a body that decodes within one limit decodes to the same within a larger
/// one. The first byte selects the encoding, the second the limit.
pub fn content_encoding(data: &[u8]) {
    let [encoding, limit, body @ ..] = data else { return };
    let names = ["", "gzip", "deflate", "br", "zstd"];
    let encoding = Encoding::parse(names[usize::from(*encoding) % names.len()]).unwrap();
    let limit = usize::from(*limit) * (LIMIT / 256);
    let decoded = |limit| {
        let mut plain = Vec::new();
        let result = decode(encoding, body, limit, |block| {
            plain.extend_from_slice(block);
            assert!(plain.len() <= limit);
            Ok::<(), ()>(())
        });
        result.map(|()| plain)
    };
    if let Ok(plain) = decoded(limit) {
        assert_eq!(decoded(LIMIT).ok(), Some(plain));
    }
}

/// Whatever else a DSN is, it never seems to be of an allowed host while a URL parser of the web's standard, like that
/// of an SDK, finds another host in it.
pub fn dsn(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(dsn) = Dsn::parse(text) else { return };
    let upstream = &dsn.upstream;
    assert_eq!(upstream.host(), upstream.host().to_ascii_lowercase());
    assert!(upstream.port() != 0 && !upstream.host().contains(['@', '/', '?', '#', '\\', ' ']));
    let again = Dsn::parse(&format!("{upstream}/1")).expect("an upstream is a URL");
    assert_eq!(again.upstream, *upstream);
    // A host may contain the same text. It is public there.
    if let Some(key) = dsn
        .key
        .as_ref()
        .filter(|key| !upstream.to_string().to_lowercase().contains(&key.expose().to_lowercase()))
    {
        assert!(!format!("{dsn:?} {key}").contains(key.expose()), "a key is logged");
    }
    let reference = url::Url::parse(text.trim());
    let found = reference.as_ref().ok().and_then(|url| url.host_str());
    // A name with a dot at its end is the same name.
    let found =
        found.map(|host| host.trim_matches(['[', ']'])).map(|host| host.strip_suffix('.').unwrap_or(host));
    let is_same = found == Some(upstream.host());
    // A name with broken Punycode is no host to the standard. To the extension it is one that does not resolve.
    let is_broken_name = matches!(reference, Err(url::ParseError::IdnaError));
    let is_allowed = AllowedHosts::new([]).contains(upstream.host());
    assert!(is_same || is_broken_name || !is_allowed, "{found:?} {text:?}");
    if let (true, Ok(url)) = (is_same, &reference) {
        assert_eq!(url.port_or_known_default(), Some(upstream.port()), "{text:?}");
    }
}
