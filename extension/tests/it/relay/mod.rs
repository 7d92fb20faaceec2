//! Delivery as upstream and the function see it.

mod bench;
mod freeze;
mod memory;
mod outage;
mod proxies;
mod queue;
mod rate_limits;
