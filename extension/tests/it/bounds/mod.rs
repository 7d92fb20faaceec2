//! Attacks on the gateway's bounds, with the real binary: what a client can make it hold, and whom it can keep waiting.

mod answers;
mod bodies;
mod connections;
mod decoding;
mod fields;
mod kept;
