//! The terms of the whole program: architectures, variants of the layer, layer names, digests and times.
//!
//! This module reads no files and does not call AWS.

pub(crate) mod arch;
pub(crate) mod digest;
pub(crate) mod lambda_runtime;
pub(crate) mod layer_arch;
pub(crate) mod layer_layout;
pub(crate) mod layer_name;
pub(crate) mod time;
pub(crate) mod variant;
