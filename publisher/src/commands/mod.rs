//! One file or folder for each subcommand. It has the arguments and the top-level steps of the command.

pub(crate) mod arn;
pub(crate) mod assemble;
pub(crate) mod attach;
pub(crate) mod build;
pub(crate) mod build_publisher;
pub(crate) mod common;
pub(crate) mod compare;
pub(crate) mod completions;
pub(crate) mod doctor;
pub(crate) mod iam_policy;
pub(crate) mod image;
pub(crate) mod man;
pub(crate) mod prune;
pub(crate) mod publish;
pub(crate) mod relay;
pub(crate) mod verify;
pub(crate) mod yank;
