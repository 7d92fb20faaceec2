//! The extension, driven as Lambda and the SDKs drive it.
#![allow(missing_docs)]
