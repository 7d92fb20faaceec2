//! `publisher doctor`.

use crate::{failure::Failure, ui::Ui};

/// Arguments of `publisher doctor`.
#[derive(clap::Args)]
pub struct Doctor {}

impl Doctor {
    /// Does it.
    pub fn run(&self, _ui: &Ui) -> Result<(), Failure> {
        todo!()
    }
}
