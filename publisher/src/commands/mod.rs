//! One file or folder for each subcommand: its arguments and, on the level of sentences, what it does.

pub(crate) mod arn;
pub(crate) mod assemble;
pub(crate) mod attach;
pub(crate) mod build;
pub(crate) mod common;
pub(crate) mod compare;
pub(crate) mod completions;
pub(crate) mod doctor;
pub(crate) mod iam_policy;
pub(crate) mod man;
pub(crate) mod prune;
pub(crate) mod publish;
pub(crate) mod relay;
pub(crate) mod verify;
