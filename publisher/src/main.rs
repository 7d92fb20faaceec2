//! The release tool: builds the extension for both architectures, assembles the layer zips,
//! publishes them to every region, proves that they are right and tells users the ARN.
//!
//! `cli` says what can be asked for, and `commands` has one file or folder for each subcommand. They use `build`
//! (toolchain, ELF, zip), `publish` (plan, journal, regions), `attach`, `prune` and `snippets`. Those know the files in
//! `dist/` from `artifacts` and AWS from `aws`. `model` has the words that all of them use.

mod artifacts;
mod attach;
mod aws;
mod build;
mod cli;
mod commands;
mod failure;
mod github_actions;
mod model;
mod prune;
mod publish;
mod snippets;
mod ui;

use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    // clap ends the process itself for --help and --version (0) and for bad usage (2).
    let cli = cli::Cli::parse();
    let ui = ui::Ui::new(cli.json);
    match cli.command.run(&ui) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            ui.failure(&failure);
            failure.exit_code().into()
        }
    }
}
