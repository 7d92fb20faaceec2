//! The parameters of the flush policy come from a simulation. The docs have to show its current tables.

use crate::support::extension::BINARY;
use std::path::Path;

/// Runs the example `flush-simulation`, which `cargo test` builds next to the binary.
#[tokio::test]
async fn the_docs_show_the_tables_of_the_simulation() {
    let simulation = Path::new(BINARY).with_file_name("examples").join("flush-simulation");
    let output = tokio::process::Command::new(&simulation).output().await;
    let output = output.unwrap_or_else(|error| panic!("{}: {error}; run ci/test", simulation.display()));
    assert!(output.status.success());
    let docs = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/flush.md")).unwrap();
    let tables = String::from_utf8(output.stdout).unwrap();
    assert!(docs.contains(tables.trim()), "docs/flush.md is stale; its tables should be:\n{tables}");
}
