//! What a release consists of, on disk and in AWS: `dist/` and the files in it, and the way from one to the other.
//!
//! `bundle` (what was built, checked) → `plan` (wanted against found: a pure decision) → `rollout` (one layer
//! in one region, from whatever is there to done) → `layers` (what was published, for everybody to read).

pub mod arn_table;
pub mod attachment;
pub mod balance;
pub mod board;
pub mod build_manifest;
pub mod bundle;
pub mod changelog;
pub mod contents;
pub mod digest;
pub mod files;
pub mod fleet;
pub mod github;
pub mod journal;
pub mod kind;
pub mod layer_name;
pub mod layer_shape;
pub mod layers;
pub mod plan;
pub mod publishing;
pub mod report;
pub mod retention;
pub mod rollout;
pub mod runtimes;
pub mod snippets;
pub mod stop;
pub mod time;

pub use arn_table::arn_table;
