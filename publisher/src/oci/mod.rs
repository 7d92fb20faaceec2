//! Container images with the files of a layer, for functions from container images, which take no layers.
//!
//! `image` makes the image, `layout` writes it to a folder, and `push` brings it to a registry. There is no daemon
//! involved, and the same zips always give the same bytes.

pub(crate) mod challenge;
pub(crate) mod credentials;
pub(crate) mod documents;
pub(crate) mod image;
pub(crate) mod layout;
pub(crate) mod push;
pub(crate) mod reference;
pub(crate) mod registry;
pub(crate) mod registry_error;
pub(crate) mod retry;
pub(crate) mod root_filesystem;
