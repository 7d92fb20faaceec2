//! Requests of OTLP, and the metrics that are made of them.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sentry_lambda_extension::fuzzing::otlp(data));
