//! The calls to AWS: whose credentials these are, which regions the account has, and the calls of one region that
//! concern layers and functions.
//!
//! Nothing in this module knows what a release consists of. That is the task of `artifacts` and `publish`.

pub(crate) mod audience;
pub(crate) mod ca_bundle;
pub(crate) mod calls;
pub(crate) mod congestion;
pub(crate) mod credentials;
pub(crate) mod download;
pub(crate) mod error;
pub(crate) mod function_list;
pub(crate) mod functions;
pub(crate) mod http;
pub(crate) mod identity;
pub(crate) mod layer_arn;
pub(crate) mod layers;
pub(crate) mod partition;
pub(crate) mod policy;
pub(crate) mod rate_limit;
pub(crate) mod refusal;
pub(crate) mod region_error;
pub(crate) mod region_list;
pub(crate) mod regions;
pub(crate) mod s3;
pub(crate) mod send_queue;
pub(crate) mod session;
pub(crate) mod sign_in;
pub(crate) mod simulation;
pub(crate) mod tags;
pub(crate) mod upload;
pub(crate) mod upload_progress;
pub(crate) mod web_page;
