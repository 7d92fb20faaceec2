//! Answers of Lambda's Extensions API.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sentry_lambda_extension::fuzzing::extensions_api(data));
