//! The publisher, driven as its users drive it.
#![allow(missing_docs, unreachable_pub)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod support;

mod arn;
mod arn_latest;
mod assemble;
mod attach;
mod attach_failures;
mod attach_limits;
mod attach_wrapper;
mod bad_input;
mod build;
mod build_fixture;
mod build_licences;
mod build_refused;
mod build_relay;
mod build_relay_download;
mod build_relay_elf;
mod build_relay_tls;
mod build_release;
mod build_reproducible;
mod build_unstable_flags;
mod completions;
mod doctor;
mod github_actions;
mod iam_policy;
mod layers_manifest_schema;
mod partitions;
mod prune;
mod publish;
mod publish_audience;
mod publish_concurrently;
mod publish_failures;
mod publish_faults;
mod publish_interrupted;
mod publish_killed;
mod publish_s3;
mod publish_variants;
mod regions;
mod scale;
mod snippets;
mod snippets_cdk;
mod snippets_deployed;
mod verify;
mod version_balance;
