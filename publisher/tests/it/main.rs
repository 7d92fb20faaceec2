//! The publisher, driven as its users drive it.
#![allow(missing_docs, unreachable_pub)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod support;

mod arn;
mod arn_latest;
mod attach;
mod attach_limits;
mod attach_trouble;
mod attach_wrapper;
mod audience;
mod bad_input;
mod build;
mod build_fixture;
mod build_refused;
mod build_release;
mod build_reproducible;
mod build_smaller;
mod completions;
mod doctor;
mod faults;
mod github;
mod iam_policy;
mod interrupted;
mod killed;
mod kinds;
mod layers_schema;
mod moto;
mod numbers;
mod prune;
mod publish;
mod regions;
mod relay;
mod relay_download;
mod relay_elf;
mod s3;
mod scale;
mod snippets;
mod snippets_cdk;
mod snippets_deployed;
mod together;
mod trouble;
mod verify;
