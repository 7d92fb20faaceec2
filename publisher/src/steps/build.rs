//! `publisher build`.

use crate::{failure::Failure, ui::Ui};

/// Arguments of `publisher build`.
#[derive(clap::Args)]
pub struct Build {}

impl Build {
    /// Does it.
    pub fn run(&self, _ui: &Ui) -> Result<(), Failure> {
        todo!()
    }
}
