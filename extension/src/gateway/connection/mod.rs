//! Client connections: the listening sockets, limits on a request's time and memory, and reading its body.

pub(super) mod body;
pub(super) mod body_error;
mod by_id;
pub(super) mod client_stream;
pub(super) mod clients;
pub(super) mod listeners;
pub(super) mod memory_budget;
pub(super) mod stall_guard;
