//! The convention of all commands that write to AWS: they print their plan, and carry it out only with `--execute`.

/// The options that say whether a command carries out its plan.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct ExecuteOptions {
    /// Do what the plan says; without this, nothing is written
    #[arg(long, conflicts_with = "dry_run")]
    pub(crate) execute: bool,

    /// Only print the plan; this is the default
    #[arg(long)]
    dry_run: bool,
}
