//! The release tool: builds the extension for both architectures, assembles the layer zips,
//! publishes them to every region, proves that they are right and tells users the ARN.
//!
//! `cli` says what can be asked for, `steps` has one file per subcommand, and the rest are the
//! rooms that the steps work in: `build` (toolchain, ELF, zip), `aws` (regions, layer calls) and
//! `release` (what a release consists of, on disk).

// A program has no outside: `pub` says which items of a room are for the others.
#![allow(unreachable_pub)]

mod arch;
mod aws;
mod build;
mod cli;
mod failure;
mod release;
mod steps;
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
