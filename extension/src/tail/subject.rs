//! What passed: the types of the items, the project, the size and the id.

use crate::config::ProjectId;
use crate::protocol::envelope_header::first_type;
use crate::protocol::{EventId, ItemKind, Scanner, decode, decode_all};
use crate::relay::{Envelope, Observed};

/// The most bytes of an envelope that are decoded to find the type of an item that the extension does not know.
const MAX_UNKNOWN: usize = 64 * 1024;
/// The most characters of such a type that are shown.
const MAX_TYPE: usize = 32;

/// What passed.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Subject {
    /// The types of the items, as in `event+attachment(2)`, or `request` if it was no envelope.
    pub(super) kind: String,
    pub(super) project: Option<ProjectId>,
    /// The size as it goes over the line, so that of a compressed envelope is that of the compressed bytes.
    pub(super) bytes: Option<usize>,
    pub(super) id: Option<EventId>,
}

impl Subject {
    pub(super) fn of(observed: &Observed<'_>) -> Self {
        match observed {
            Observed::Envelope(envelope, _) => Self {
                kind: kinds(envelope),
                project: Some(envelope.project),
                bytes: Some(envelope.body.len()),
                id: event_id(envelope),
            },
            Observed::Refused { .. } => Self { kind: "request".to_owned(), ..Self::default() },
        }
    }
}

/// The id in the envelope's header. Envelopes of logs, metrics, check-ins and sessions have none.
fn event_id(envelope: &Envelope) -> Option<EventId> {
    let mut scanner = Scanner::new();
    decode(envelope.encoding, &envelope.body, usize::MAX, |block| scanner.feed(block)).ok()?;
    EventId::parse(scanner.finish().ok()?.header.event_id.as_deref()?)
}

fn kinds(envelope: &Envelope) -> String {
    let mut counts: Vec<(String, u64)> = Vec::new();
    for (at, item) in envelope.items.iter().enumerate() {
        let name = if item.kind == ItemKind::Other && at == 0 {
            unknown_type(envelope)
        } else {
            item.kind.name().to_owned()
        };
        let count = u64::from(item.count);
        match counts.iter_mut().find(|(known, _)| *known == name) {
            Some((_, known)) => *known += count,
            None => counts.push((name, count)),
        }
    }
    let shown = |(name, count): (String, u64)| if count == 1 { name } else { format!("{name}({count})") };
    counts.into_iter().map(shown).collect::<Vec<_>>().join("+")
}

/// The type of the first item as the client wrote it.
fn unknown_type(envelope: &Envelope) -> String {
    let plain = decode_all(envelope.encoding, &envelope.body, MAX_UNKNOWN);
    let found = plain.as_deref().and_then(first_type);
    let shown = found.map(|name| name.chars().take(MAX_TYPE).collect());
    shown.unwrap_or_else(|| ItemKind::Other.name().to_owned())
}
