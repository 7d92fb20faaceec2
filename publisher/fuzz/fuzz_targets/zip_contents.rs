//! Zips of layers.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| publisher_fuzz::fuzzing::zip_contents(data));
