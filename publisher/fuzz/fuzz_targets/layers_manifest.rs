//! `layers.json`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| publisher_fuzz::fuzzing::layers_manifest(data));
