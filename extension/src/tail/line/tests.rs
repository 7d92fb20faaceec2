//! Tests of whole lines.

use super::*;
use crate::protocol::{Item, ItemKind};
use crate::relay::{DropReason, Envelope, RefusalReason, Step, sample};
use std::time::{Duration, UNIX_EPOCH};

const ID: &str = "9ec79c33ec9942ab8353589fcb2e04dc";

fn envelope(header: &str, items: &[(&str, ItemKind, u32)]) -> Envelope {
    let item = |(name, ..): &(&str, ItemKind, u32)| format!("{{\"type\":\"{name}\",\"length\":2}}\n{{}}\n");
    let body = format!("{header}\n{}", items.iter().map(item).collect::<String>());
    let items = items.iter().map(|(_, kind, count)| Item { kind: *kind, count: *count, bytes: 2 }).collect();
    Envelope { items, body: body.into(), ..sample(ItemKind::Event, 0) }
}

fn shown(style: Style, observed: Observed<'_>) -> String {
    line(style, UNIX_EPOCH + Duration::from_millis(36_184_512), observed)
}

#[test]
fn a_line_says_what_passed_and_what_became_of_it() {
    let header = format!("{{\"event_id\":\"{ID}\"}}");
    let event = envelope(&header, &[("event", ItemKind::Event, 1), ("attachment", ItemKind::Attachment, 1)]);
    let logs = envelope("{}", &[("log", ItemKind::Log, 12)]);
    let took = Duration::from_millis(31);
    let of_event = format!("event+attachment          42     115 B {ID} ");
    let of_logs = format!("log(12)                   42      32 B -{} ", " ".repeat(31));
    for (envelope, step, expected) in [
        (&event, Step::Accepted, "accepted"),
        (&event, Step::Delivered { status: 200, took }, "delivered 200 in 31 ms"),
        (&logs, Step::Rejected { status: 403, why: Some("bad key") }, "rejected 403: bad key"),
        (&logs, Step::Waits { answer: &503 }, "waits: 503"),
        (&logs, Step::Dropped(DropReason::QueueOverflow), "dropped: queue_overflow"),
    ] {
        let line = shown(Style::Plain, Observed::Envelope(envelope, step));
        let subject = if envelope.items.len() == 2 { &of_event } else { &of_logs };
        assert_eq!(line, format!("10:03:04.512 {subject}{expected}\n"));
    }
    let refused =
        Observed::Refused { status: 403, reason: RefusalReason::HostNotAllowed, why: format_args!("no") };
    let line = shown(Style::Coloured, refused);
    assert!(line.ends_with("\x1b[31mrefused 403: host_not_allowed: no\x1b[0m\n"), "{line:?}");
}

#[test]
fn the_same_as_json() {
    let header = format!("{{\"event_id\":\"{ID}\"}}");
    let event = envelope(&header, &[("event", ItemKind::Event, 1)]);
    let step = Step::Rejected { status: 400, why: Some("\"odd\"\n") };
    let json: serde_json::Value =
        serde_json::from_str(&shown(Style::Json, Observed::Envelope(&event, step))).unwrap();
    let expected = serde_json::json!({ "ts": 36184.512, "level": "error", "message": "rejected", "kind": "event",
        "project": 42, "bytes": event.body.len(), "id": ID, "status": 400, "why": "\"odd\"\n" });
    assert_eq!(json, expected);
}

#[test]
fn types_that_are_not_known_are_shown_as_they_are() {
    let subject = |envelope: &Envelope| Subject::of(&Observed::Envelope(envelope, Step::Accepted));
    let kind = |items| subject(&envelope("{}", items)).kind;
    assert_eq!(kind(&[("client_report", ItemKind::Other, 1)]), "client_report");
    assert_eq!(kind(&[("span", ItemKind::Span, 3), ("new", ItemKind::Other, 1)]), "span(3)+other");
    assert_eq!(kind(&[(&"x".repeat(99), ItemKind::Other, 1)]), "x".repeat(32), "as much as has room");
    let broken = Envelope { body: "no".into(), ..envelope("{}", &[("new", ItemKind::Other, 1)]) };
    assert_eq!((subject(&broken).kind, subject(&broken).id), ("other".to_owned(), None));
}
