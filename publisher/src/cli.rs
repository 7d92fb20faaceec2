//! What can be asked for on the command line, and nothing else.

use crate::{commands, failure::Failure, ui::Ui};
use clap::{CommandFactory, Parser, Subcommand};

/// Builds the Sentry Lambda extension, publishes it as layers to every AWS region, and tells you the ARN.
#[derive(Parser)]
#[command(name = "publisher", version, propagate_version = true, arg_required_else_help = true)]
pub(crate) struct Cli {
    /// Print results as JSON on stdout, and progress as JSON lines on stderr
    #[arg(long, global = true)]
    pub(crate) json: bool,

    #[command(subcommand)]
    pub(crate) command: Command,
}

/// One verb each; its arguments and its work are in the step of the same name.
#[derive(Subcommand)]
pub(crate) enum Command {
    /// Build the extension and assemble the layer zips
    Build(commands::build::Build),
    /// Publish the zips as public layers; prints the plan, acts only on --execute
    Publish(commands::publish::Publish),
    /// Read every published layer back and compare it with dist/layers.json
    Verify(commands::verify::Verify),
    /// Print the ARN to attach to a function, or a snippet with it for a template, a module or an app
    Arn(commands::arn::Arn),
    /// Add the layer to a function, or replace an older version of it
    Attach(commands::attach::Attach),
    /// Delete old layer versions that nothing names any more; prints the plan, acts only on --execute
    Prune(commands::prune::Prune),
    /// Record which binaries of Sentry's own Relay may go into a layer
    Relay(commands::relay::Relay),
    /// Say what is installed, what is missing, and the command that mends it
    Doctor(commands::doctor::Doctor),
    /// Print the least IAM policy for a step, or the trust policy for GitHub Actions
    IamPolicy(commands::iam_policy::IamPolicy),
    /// Compare two builds of one commit, byte for byte
    #[command(hide = true)]
    Compare(commands::compare::Compare),
    /// Make one release of the two architectures, each built twice
    #[command(hide = true)]
    Assemble(commands::assemble::Assemble),
    /// Print completions for a shell
    Completions(commands::completions::Completions),
    /// Print the manual page, or write one for each command
    Man(commands::man::Man),
}

impl Command {
    /// Runs the verb.
    pub(crate) fn run(&self, ui: &Ui) -> Result<(), Failure> {
        match self {
            Self::Build(step) => step.run(ui),
            Self::Publish(step) => step.run(ui),
            Self::Verify(step) => step.run(ui),
            Self::Arn(step) => step.run(ui),
            Self::Attach(step) => step.run(ui),
            Self::Prune(step) => step.run(ui),
            Self::Relay(step) => step.run(ui),
            Self::Doctor(step) => step.run(ui),
            Self::IamPolicy(step) => step.run(ui),
            Self::Compare(step) => step.run(ui),
            Self::Assemble(step) => step.run(ui),
            Self::Completions(step) => step.run(&mut Cli::command(), ui),
            Self::Man(step) => step.run(Cli::command(), ui),
        }
    }
}
