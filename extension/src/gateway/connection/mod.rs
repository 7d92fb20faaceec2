//! A client's connection: the sockets, the time and the memory that a request may take, and its body.

pub(super) mod active_timer;
pub(super) mod body;
pub(super) mod listeners;
pub(super) mod memory_budget;
pub(super) mod stall_guard;
