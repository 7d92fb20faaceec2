//! What the fuzz targets in `extension/fuzz` do with an input. The tests below do the same with the inputs that are
//! kept in its corpora, so that a regression is seen without a fuzzer. The extension itself does not contain this
//! module.
//!
//! A body is here, or beside the code that it attacks if that code is private there. It panics if something is wrong.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    missing_docs
)]

mod formats;
pub(crate) mod harness;

pub use crate::gateway::fuzzing::{auth, http_request, msgpack, multipart};
pub use crate::insights::fuzzing::function_record;
pub use crate::lifecycle::fuzzing::extensions_api;
pub use crate::otlp::fuzzing::otlp;
pub use crate::relay::fuzzing::{rate_limits, upstream_answer};
pub use crate::telemetry::fuzzing::telemetry;
pub use formats::{content_encoding, dsn, envelope_filter, envelope_scanner};

#[cfg(test)]
mod tests {
    use std::path::Path;

    /// Runs a body with each input of its corpus, and with each request that an SDK has sent.
    fn replay(target: &str, body: fn(&[u8])) {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut inputs = 0;
        for folder in [root.join("fuzz/corpus").join(target), root.join("tests/fixtures/sdk-requests")] {
            let entries =
                std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
            for entry in entries {
                let path = entry.unwrap().path();
                let input = std::fs::read(&path).unwrap();
                let outcome = std::panic::catch_unwind(|| body(&input));
                assert!(outcome.is_ok(), "{target} fails with {}", path.display());
                inputs += 1;
            }
        }
        assert!(inputs > 21, "the corpus of {target} is empty");
        for short in [&b""[..], b"\0", b"\xff", b"\n", b"{}", b"[]", b"\xff\xff\xff\xff"] {
            body(short);
        }
    }

    macro_rules! replays {
        ($($target:ident)*) => {
            $(#[test]
            fn $target() {
                replay(stringify!($target), super::$target);
            })*

            /// A target without a test would rot, and a test without a target would never be fed.
            #[test]
            fn every_target_is_replayed() {
                let mut targets = [$(stringify!($target)),*].map(|target| format!("{target}.rs"));
                targets.sort();
                let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/fuzz_targets");
                let mut files: Vec<String> = std::fs::read_dir(folder)
                    .unwrap()
                    .map(|entry| entry.unwrap().file_name().into_string().unwrap())
                    .collect();
                files.sort();
                assert_eq!(files, targets);
            }
        };
    }

    replays! {
        auth content_encoding dsn envelope_filter envelope_scanner extensions_api function_record http_request
        msgpack multipart otlp rate_limits telemetry upstream_answer
    }
}
