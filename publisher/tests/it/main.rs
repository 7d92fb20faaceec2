//! The publisher, driven as its users drive it.
#![allow(missing_docs, unreachable_pub)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod support;

mod arn;
mod bad_input;
mod build;
mod build_fixture;
mod build_refused;
mod build_reproducible;
mod doctor;
mod moto;
mod publish;
mod trouble;
mod verify;
