//! Publishes a release in all regions.
//!
//! `plan` compares what is wanted with what is found, without I/O. `rollout` completes one `job`: one layer in one
//! region. `run` does that for all jobs at once, and `report` describes the results.

pub(crate) mod difference;
pub(crate) mod final_check;
pub(crate) mod interrupt;
pub(crate) mod job;
pub(crate) mod journal;
pub(crate) mod plan;
pub(crate) mod progress;
pub(crate) mod progress_bars;
pub(crate) mod progress_lines;
pub(crate) mod proof;
pub(crate) mod publish_once;
pub(crate) mod remedy;
pub(crate) mod report;
pub(crate) mod rollout;
pub(crate) mod run;
pub(crate) mod version_balance;
pub(crate) mod write_context;

#[cfg(test)]
mod tests;
