//! The header of X-Ray, from which a trace follows where no SDK has begun one. Pure.

/// What X-Ray's header says: `Root=1-67d448e8-3ae320be0e2cdf2f53ccdaba;Parent=35465b3a9e2f7c6a;Sampled=0`.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct XRay {
    pub(super) trace_id: Option<String>,
    pub(super) parent: Option<String>,
}

impl XRay {
    pub(super) fn read(header: &str) -> Self {
        let field = |name: &str| {
            header
                .split(';')
                .filter_map(|field| field.trim().split_once('='))
                .find(|(found, _)| *found == name)
        };
        // An id of zeros stands for none.
        let hex = |id: String, length: usize| {
            let is_id = id.len() == length && id.bytes().all(|b| b.is_ascii_hexdigit());
            (is_id && id.bytes().any(|b| b != b'0')).then(|| id.to_ascii_lowercase())
        };
        let root = field("Root").and_then(|(_, root)| root.strip_prefix("1-"));
        Self {
            trace_id: root.and_then(|root| hex(root.replace('-', ""), 32)),
            parent: field("Parent").and_then(|(_, parent)| hex(parent.to_owned(), 16)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trace_and_parent() {
        let read = |header| {
            let XRay { trace_id, parent } = XRay::read(header);
            (trace_id.unwrap_or_default(), parent.unwrap_or_default())
        };
        let trace = "67d448e83ae320be0e2cdf2f53ccdaba".to_owned();
        let parent = "35465b3a9e2f7c6a".to_owned();
        let whole = "Root=1-67d448e8-3ae320be0e2cdf2f53ccdaba;Parent=35465b3a9e2f7c6a;Sampled=0";
        assert_eq!(read(whole), (trace.clone(), parent));
        assert_eq!(read("Lineage=x; Root=1-67d448e8-3ae320be0e2cdf2f53ccdaba"), (trace, String::new()));
        for odd in ["", "Root", "Root=1-67d448e8", "Root=2-67d448e8-3ae320be0e2cdf2f53ccdaba", "Parent=x"] {
            assert_eq!(read(odd), (String::new(), String::new()), "{odd}");
        }
        let zeros = "Root=1-00000000-000000000000000000000000;Parent=0000000000000000";
        assert_eq!(read(zeros), (String::new(), String::new()));
    }
}
