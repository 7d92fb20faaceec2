//! `publisher publish`.

use crate::{failure::Failure, ui::Ui};

/// Arguments of `publisher publish`.
#[derive(clap::Args)]
pub struct Publish {}

impl Publish {
    /// Does it.
    pub fn run(&self, _ui: &Ui) -> Result<(), Failure> {
        todo!()
    }
}
