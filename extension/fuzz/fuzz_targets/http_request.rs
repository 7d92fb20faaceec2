//! Everything that a client can send to the gateway.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sentry_lambda_extension::fuzzing::http_request(data));
