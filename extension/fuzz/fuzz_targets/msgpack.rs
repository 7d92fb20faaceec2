//! Events of native SDKs.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sentry_lambda_extension::fuzzing::msgpack(data));
