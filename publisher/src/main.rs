//! The release tool. It builds the extension for both architectures, assembles the layer zips, publishes them to
//! every region, verifies what was published, and tells users the ARN.
//!
//! `cli` defines the command line, and `commands` has one file or folder for each subcommand. The commands use
//! `build` (toolchain, ELF, zip), `publish` (plan, journal, regions), `attach`, `oci` (container images), `prune` and
//! `snippets`. Those modules use `artifacts` for the files in `dist/` and `aws` for AWS. `model` has the terms that all
//! of them use.

mod artifacts;
mod attach;
mod aws;
mod build;
mod cli;
mod commands;
mod failure;
#[cfg(test)]
mod fuzzing;
mod github_actions;
mod model;
mod oci;
mod prune;
mod publish;
mod renamed_options;
mod snippets;
mod ui;

use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    // clap ends the process itself for --help and --version (0) and for bad usage (2).
    let arguments: Vec<String> =
        std::env::args_os().map(|argument| argument.to_string_lossy().into_owned()).collect();
    let cli =
        cli::Cli::try_parse().unwrap_or_else(|error| renamed_options::explain(error, &arguments).exit());
    let ui = ui::Ui::new(cli.json);
    match cli.command.run(&ui).and_then(|()| ui.written()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            ui.failure(&failure);
            failure.exit_code().into()
        }
    }
}
