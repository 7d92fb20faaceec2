//! The id of an event. It has 32 hex digits in envelopes, and is a hyphenated UUID for crash reporters.

use std::fmt;

/// An event's id: 32 hex digits in lower case, without hyphens.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct EventId(String);

impl EventId {
    /// Creates a random id, which is a UUID of version 4.
    pub fn random() -> Self {
        use std::hash::BuildHasher as _;
        // The system seeds RandomState once per process, and each new one differs. That is enough, because ids must
        // be unique but not secret.
        let random = || std::hash::RandomState::new().hash_one(std::time::SystemTime::now());
        let high = (random() & !0xf000) | 0x4000;
        let low = (random() & !(0b11 << 62)) | (0b10 << 62);
        Self(format!("{high:016x}{low:016x}"))
    }

    /// The id of zeros. In a check-in it means that there is no id.
    pub(crate) fn nil() -> Self {
        Self("0".repeat(32))
    }

    /// Reads 32 hex digits, or a UUID with hyphens. Returns `None` for anything else.
    pub fn parse(text: &str) -> Option<Self> {
        let hyphenated =
            text.len() == 36 && [8, 13, 18, 23].iter().all(|at| text.as_bytes().get(*at) == Some(&b'-'));
        let digits = if hyphenated { text.replace('-', "") } else { text.to_owned() };
        let valid = digits.len() == 32 && digits.bytes().all(|b| b.is_ascii_hexdigit());
        valid.then(|| Self(digits.to_ascii_lowercase()))
    }

    /// The id as a UUID with hyphens.
    pub(crate) fn hyphenated(&self) -> String {
        let part = |range| self.0.get(range).unwrap_or_default();
        [part(0..8), part(8..12), part(12..16), part(16..20), part(20..32)].join("-")
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_version_4_uuids_and_differ() {
        let ids: std::collections::HashSet<EventId> = (0..100).map(|_| EventId::random()).collect();
        assert_eq!(ids.len(), 100);
        for id in ids {
            let id = id.to_string();
            assert_eq!((id.len(), &id[12..13]), (32, "4"), "{id}");
            assert!("89ab".contains(&id[16..17]), "{id}");
        }
    }

    #[test]
    fn ids_with_and_without_hyphens() {
        let hyphenated = "f3d98fbd-851e-4cfe-b5a6-d4e45a253049";
        for text in [hyphenated, "F3D98FBD851E4CFEB5A6D4E45A253049"] {
            assert_eq!(EventId::parse(text).unwrap().hyphenated(), hyphenated);
        }
        for text in
            ["", "nonsense", "f3d98fbd8-51e-4cfe-b5a6-d4e45a253049", "f3d98fbd851e4cfeb5a6d4e45a25304g"]
        {
            assert_eq!(EventId::parse(text), None, "{text}");
        }
    }
}
