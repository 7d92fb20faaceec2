//! The definition of the command line.

use crate::{artifacts::built_in_layers, commands, failure::Failure, ui::Ui};
use clap::{CommandFactory, Parser, Subcommand};

/// Builds the Sentry Lambda extension, publishes it as layers to every AWS region, and tells you the ARN.
#[derive(Parser)]
#[command(name = "publisher", version, long_version = built_in_layers::long_version(), propagate_version = true)]
#[command(arg_required_else_help = true)]
pub(crate) struct Cli {
    /// Print results as JSON on stdout, and progress as JSON lines on stderr
    #[arg(long, global = true)]
    pub(crate) json: bool,

    #[command(subcommand)]
    pub(crate) command: Command,
}

/// The subcommands. The module of the same name has the arguments and the work of each.
#[derive(Subcommand)]
pub(crate) enum Command {
    /// Build the extension and assemble the layer zips
    Build(commands::build::Build),
    /// Publish the zips as layers, public unless told otherwise; prints the plan, acts only on --execute
    Publish(commands::publish::Publish),
    /// Read every published layer back and compare it with dist/layers.json
    Verify(commands::verify::Verify),
    /// Print the ARN to attach to a function, or a snippet with it for a template, a module or an app
    Arn(commands::arn::Arn),
    /// Add the layer to a function, or replace an older version; prints the plan, acts only on --execute
    Attach(commands::attach::Attach),
    /// Delete old layer versions that nothing names any more; prints the plan, acts only on --execute
    Prune(commands::prune::Prune),
    /// Withdraw a bad release: nobody may attach it any more; prints the plan, acts only on --execute
    Yank(commands::yank::Yank),
    /// Put the files of the layer into a container image, and push it to a registry
    Image(commands::image::ImageCommand),
    /// Record which binaries of Sentry's own Relay may go into a layer
    Relay(commands::relay::Relay),
    /// Say what is installed, what is missing, and the command that fixes it
    Doctor(commands::doctor::Doctor),
    /// Print the least IAM policy for a step, or the trust policy for GitHub Actions
    IamPolicy(commands::iam_policy::IamPolicy),
    /// Compare two builds of one commit, byte for byte
    #[command(hide = true)]
    Compare(commands::compare::Compare),
    /// Make one release of the two architectures, each built twice
    #[command(hide = true)]
    Assemble(commands::assemble::Assemble),
    /// Build this program as a release has it: static, with the release's layers inside
    #[command(hide = true)]
    BuildPublisher(commands::build_publisher::BuildPublisher),
    /// Print completions for a shell
    Completions(commands::completions::Completions),
    /// Print the manual page, or write one for each command
    Man(commands::man::Man),
}

impl Command {
    pub(crate) fn run(&self, ui: &Ui) -> Result<(), Failure> {
        match self {
            Self::Build(command) => command.run(ui),
            Self::Publish(command) => command.run(ui),
            Self::Verify(command) => command.run(ui),
            Self::Arn(command) => command.run(ui),
            Self::Attach(command) => command.run(ui),
            Self::Prune(command) => command.run(ui),
            Self::Yank(command) => command.run(ui),
            Self::Image(command) => command.run(ui),
            Self::Relay(command) => command.run(ui),
            Self::Doctor(command) => command.run(ui),
            Self::IamPolicy(command) => command.run(ui),
            Self::Compare(command) => command.run(ui),
            Self::Assemble(command) => command.run(ui),
            Self::BuildPublisher(command) => command.run(ui),
            Self::Completions(command) => command.run(&mut Cli::command(), ui),
            Self::Man(command) => command.run(Cli::command(), ui),
        }
    }
}
