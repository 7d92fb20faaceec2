//! Tests delivery from the side of upstream and of the function.

mod bench;
mod freeze;
mod memory;
mod outage;
mod proxies;
mod queue;
mod rate_limits;
