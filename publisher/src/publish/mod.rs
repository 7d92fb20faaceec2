//! The way of a release into all regions.
//!
//! `plan` compares what is wanted with what is found (a pure decision). `rollout` brings one layer to one region (a
//! `job`), `run` does that for all of them at once, and `report` says what came of it.

pub(crate) mod interrupt;
pub(crate) mod job;
pub(crate) mod journal;
pub(crate) mod plan;
pub(crate) mod progress;
pub(crate) mod progress_bars;
pub(crate) mod progress_lines;
pub(crate) mod publish_once;
pub(crate) mod report;
pub(crate) mod rollout;
pub(crate) mod run;
pub(crate) mod version_balance;
