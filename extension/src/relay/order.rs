//! Keeps envelopes in order that belong together: the check-ins of one monitor, and the updates of one session. Sentry
//! takes what arrives last for what happened last, so a check-in that overtakes another makes a monitor time out.
//!
//! Each such thing is a key, and the pending envelopes with that key are a chain. An envelope may be sent only when it
//! is the first of all its chains. All other envelopes have no key and wait for nothing.

use super::envelope::Envelope;
use super::index::Index;
use crate::protocol::json_fields::{fields, text};
use crate::protocol::{ItemKind, visit_payloads};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

/// The largest decoded envelope that is read for keys, in bytes. Check-ins and sessions have a few hundred bytes. A
/// larger envelope carries them beside something else, and its decoding would cost the function CPU time.
const MAX_READ: usize = 1 << 20;

/// Returns the keys of an envelope, without duplicates. Different things may have the same key by chance, which only
/// makes one wait for the other.
pub(super) fn keys(envelope: &Envelope) -> Box<[u64]> {
    let has_key = |kind| matches!(kind, ItemKind::CheckIn | ItemKind::Session);
    if !envelope.items.iter().any(|item| has_key(item.kind)) {
        return Box::default();
    }
    let (mut keys, mut items) = (Vec::new(), envelope.items.iter());
    visit_payloads(envelope.encoding, &envelope.body, MAX_READ, |payload| {
        match items.next().map(|item| item.kind) {
            Some(ItemKind::CheckIn) => {
                if let Some([id, slug]) = fields(payload, ["check_in_id", "monitor_slug"]) {
                    keys.extend(key(envelope, "check-in", text(id).as_deref()));
                    keys.extend(key(envelope, "monitor", text(slug).as_deref()));
                }
            }
            Some(ItemKind::Session) => {
                if let Some([id]) = fields(payload, ["sid"]) {
                    keys.extend(key(envelope, "session", text(id).as_deref()));
                }
            }
            _ => {}
        }
    });
    keys.sort_unstable();
    keys.dedup();
    keys.into()
}

/// The key of one thing, or `None` if its id is absent. SDKs write a UUID with hyphens or without, and one of zeros
/// means none.
fn key(envelope: &Envelope, what: &str, id: Option<&str>) -> Option<u64> {
    let mut id = id?.to_ascii_lowercase();
    if what != "monitor" {
        id.retain(|c| c != '-');
    }
    if id.bytes().all(|byte| byte == b'0') {
        return None;
    }
    let mut hasher = DefaultHasher::new();
    (envelope.key.expose(), envelope.project.to_string(), what, id).hash(&mut hasher);
    Some(hasher.finish())
}

/// The pending envelopes of each key, by their number, which is the order in which they were accepted.
#[derive(Debug, Default)]
pub(super) struct Chains(Index);

impl Chains {
    /// Adds an envelope at the end of its chains.
    pub(super) fn enter(&mut self, keys: &[u64], number: u64) {
        for key in keys {
            self.0.insert((*key, number, 0));
        }
    }

    /// Whether the envelope is the first of all its chains.
    pub(super) fn is_first(&self, keys: &[u64], number: u64) -> bool {
        keys.iter().all(|key| self.first(*key) == Some(number))
    }

    /// Removes an envelope from its chains. Returns the envelopes that are now the first of a chain.
    pub(super) fn leave(&mut self, keys: &[u64], number: u64) -> Vec<u64> {
        let mut first = Vec::new();
        for key in keys {
            let was_first = self.first(*key) == Some(number);
            self.0.remove((*key, number, 0));
            first.extend(self.first(*key).filter(|_| was_first));
        }
        first
    }

    fn first(&self, key: u64) -> Option<u64> {
        self.0.first_of(key).map(|(number, _)| number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::Item;
    use crate::relay::envelope::sample;
    use std::fmt::Write as _;

    fn of(items: &[(ItemKind, &str)]) -> Box<[u64]> {
        let mut body = "{}\n".to_owned();
        for (_, payload) in items {
            let _ = write!(body, "{{\"length\":{}}}\n{payload}\n", payload.len());
        }
        let items = items.iter().map(|(kind, payload)| Item { kind: *kind, count: 1, bytes: payload.len() });
        keys(&Envelope { items: items.collect(), body: body.into(), ..sample(ItemKind::Event, 0) })
    }

    #[test]
    fn check_ins_and_sessions_have_keys_and_nothing_else_has() {
        use ItemKind::{CheckIn, Event, Session};
        assert!(of(&[(Event, r#"{"sid":"1"}"#)]).is_empty());
        assert!(of(&[(Session, r#"{"aggregates":[]}"#), (CheckIn, "nonsense")]).is_empty());
        let check_in = of(&[(CheckIn, r#"{"check_in_id":"AB-1","monitor_slug":"job"}"#)]);
        assert_eq!(check_in.len(), 2);
        let same = of(&[(Event, "{}"), (CheckIn, r#"{"monitor_slug":"job","check_in_id":"ab1"}"#)]);
        assert_eq!(check_in, same, "the form of the id does not matter");
        let session = of(&[(Session, r#"{"sid":"ab1"}"#), (Session, r#"{"sid":"ab1"}"#)]);
        assert_eq!(session.len(), 1);
        assert!(!check_in.contains(&session[0]));
        assert!(of(&[(CheckIn, r#"{"check_in_id":"00000000-0000-0000-0000-000000000000"}"#)]).is_empty());
    }

    #[test]
    fn the_first_of_all_its_chains_may_go() {
        let mut chains = Chains::default();
        chains.enter(&[1], 10);
        chains.enter(&[1, 2], 11);
        chains.enter(&[2], 12);
        assert!(chains.is_first(&[1], 10) && chains.is_first(&[], 99));
        assert!(!chains.is_first(&[1, 2], 11) && !chains.is_first(&[2], 12));
        assert_eq!(chains.leave(&[1], 10), [11]);
        assert!(chains.is_first(&[1, 2], 11));
        assert_eq!(chains.leave(&[1, 2], 11), [12]);
        assert!(chains.leave(&[2], 12).is_empty());
        assert!(chains.0.is_empty());
    }
}
