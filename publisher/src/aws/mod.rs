//! What the publisher says to AWS: who we are, which regions there are, and the calls of one region
//! for layers and functions.
//!
//! Nothing here knows of a release; that is `release`'s part.

pub mod audience;
pub mod budget;
pub mod credentials;
pub mod download;
pub mod error;
pub mod functions;
pub mod http;
pub mod identity;
pub mod layer_arn;
pub mod layers;
pub mod partition;
pub mod policy;
pub mod regions;
pub mod s3;
pub mod session;
pub mod upload;
