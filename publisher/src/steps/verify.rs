//! `publisher verify`.

use crate::{failure::Failure, ui::Ui};

/// Arguments of `publisher verify`.
#[derive(clap::Args)]
pub struct Verify {}

impl Verify {
    /// Does it.
    pub fn run(&self, _ui: &Ui) -> Result<(), Failure> {
        todo!()
    }
}
