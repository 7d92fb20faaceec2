//! Delivery as upstream and the function see it.

mod bench;
mod freeze;
mod limits;
mod memory;
mod outage;
mod process;
mod proxies;
mod queue;
