//! `publisher completions`: prints the script with which a shell completes the command line.

use crate::{failure::Failure, ui::Ui};
use clap_complete::Shell;

/// Arguments of `publisher completions`.
#[derive(clap::Args)]
pub(crate) struct Completions {
    /// The shell that is to read them
    #[arg(value_enum)]
    shell: Shell,
}

impl Completions {
    /// Prints the completion script of the shell for `command`.
    pub(crate) fn run(&self, command: &mut clap::Command, ui: &Ui) -> Result<(), Failure> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, command, "publisher", &mut script);
        let script = String::from_utf8(script).map_err(Failure::new)?;
        ui.result(script.trim_end());
        Ok(())
    }
}
