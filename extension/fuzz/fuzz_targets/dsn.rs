//! DSNs, against a URL parser of the web's standard.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sentry_lambda_extension::fuzzing::dsn(data));
