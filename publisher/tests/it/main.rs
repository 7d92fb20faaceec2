//! The publisher, driven as its users drive it.
#![allow(missing_docs)]
