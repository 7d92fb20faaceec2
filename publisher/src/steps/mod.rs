//! One file per subcommand: its arguments and, on the level of sentences, what it does.

pub mod arn;
pub mod build;
pub mod doctor;
pub mod publish;
pub mod verify;
