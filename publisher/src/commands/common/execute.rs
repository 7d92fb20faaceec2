//! The one convention of all commands that write to AWS: they print their plan, and act only with `--execute`.

/// Whether to act, on the command line.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct ExecuteOptions {
    /// Do what the plan says; without this, nothing is written
    #[arg(long, conflicts_with = "dry_run")]
    pub(crate) execute: bool,

    /// Only print the plan; this is the default
    #[arg(long)]
    dry_run: bool,
}
