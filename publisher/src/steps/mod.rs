//! One file per subcommand: its arguments and, on the level of sentences, what it does.

pub mod account;
pub mod arn;
pub mod attach;
pub mod build;
pub mod completions;
pub mod doctor;
pub mod iam_policy;
pub mod latest;
pub mod man;
pub mod prune;
pub mod publish;
pub mod relay;
pub mod verify;
