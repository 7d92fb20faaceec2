//! What the tests need around the publisher: a `dist/`, an AWS, somebody in between, and eyes of their own.

pub mod account;
pub mod cli;
pub mod dist;
pub mod emulator;
pub mod function;
pub mod gate;
pub mod http;
pub mod iam;
pub mod proxy;
pub mod registry;
pub mod schema;
pub mod snippet;
pub mod source;
pub mod stand_in;
pub mod tls;
