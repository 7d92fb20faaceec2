//! Removing items from envelopes, and changing their headers.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sentry_lambda_extension::fuzzing::envelope_filter(data));
