//! The publisher as a library, for the fuzz targets.

#![allow(dead_code, unused_imports)]

#[path = "../../src/artifacts/mod.rs"]
mod artifacts;
#[path = "../../src/attach/mod.rs"]
mod attach;
#[path = "../../src/aws/mod.rs"]
mod aws;
#[path = "../../src/build/mod.rs"]
mod build;
#[path = "../../src/cli.rs"]
mod cli;
#[path = "../../src/commands/mod.rs"]
mod commands;
#[path = "../../src/failure.rs"]
mod failure;
#[path = "../../src/fuzzing.rs"]
pub mod fuzzing;
#[path = "../../src/github_actions.rs"]
mod github_actions;
#[path = "../../src/model/mod.rs"]
mod model;
#[path = "../../src/oci/mod.rs"]
mod oci;
#[path = "../../src/prune/mod.rs"]
mod prune;
#[path = "../../src/publish/mod.rs"]
mod publish;
#[path = "../../src/renamed_options.rs"]
mod renamed_options;
#[path = "../../src/snippets/mod.rs"]
mod snippets;
#[path = "../../src/ui.rs"]
mod ui;
