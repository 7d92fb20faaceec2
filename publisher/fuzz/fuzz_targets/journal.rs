//! The journal of an earlier run.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| publisher_fuzz::fuzzing::journal(data));
