//! What the publisher says to AWS: who we are, which regions there are, and the calls of one region
//! for layers and functions.
//!
//! Nothing here knows what a release consists of; that is in `artifacts` and `publish`.

pub(crate) mod audience;
pub(crate) mod ca_bundle;
pub(crate) mod calls;
pub(crate) mod credentials;
pub(crate) mod download;
pub(crate) mod error;
pub(crate) mod functions;
pub(crate) mod http;
pub(crate) mod identity;
pub(crate) mod layer_arn;
pub(crate) mod layers;
pub(crate) mod partition;
pub(crate) mod policy;
pub(crate) mod rate_limit;
pub(crate) mod regions;
pub(crate) mod s3;
pub(crate) mod session;
pub(crate) mod sign_in;
pub(crate) mod upload;
pub(crate) mod web_page;
