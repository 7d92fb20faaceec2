//! `publisher arn`.

use crate::{failure::Failure, ui::Ui};

/// Arguments of `publisher arn`.
#[derive(clap::Args)]
pub struct Arn {}

impl Arn {
    /// Does it.
    pub fn run(&self, _ui: &Ui) -> Result<(), Failure> {
        todo!()
    }
}
