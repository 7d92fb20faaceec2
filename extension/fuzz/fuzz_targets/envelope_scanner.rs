//! Envelopes, whole and in blocks.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sentry_lambda_extension::fuzzing::envelope_scanner(data));
