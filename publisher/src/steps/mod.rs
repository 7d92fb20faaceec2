//! One file per subcommand: its arguments and, on the level of sentences, what it does.

pub mod account;
pub mod arn;
pub mod attach;
pub mod build;
pub mod doctor;
pub mod latest;
pub mod prune;
pub mod publish;
pub mod relay;
pub mod verify;
