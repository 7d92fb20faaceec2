//! The words of the whole program: architectures, variants of the layer, layer names and paths, runtimes,
//! digests and times.
//!
//! Nothing here reads a file or asks AWS.

pub(crate) mod arch;
pub(crate) mod digest;
pub(crate) mod lambda_runtime;
pub(crate) mod layer_layout;
pub(crate) mod layer_name;
pub(crate) mod time;
pub(crate) mod variant;
