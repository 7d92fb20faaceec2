//! Tests delivery from the side of upstream and of the function.

mod burst;
pub mod delivery_test;
mod destinations;
mod freeze;
mod lookups;
mod many_upstreams;
mod memory;
mod order;
mod outage;
mod proxies;
mod queue;
mod rate_limits;
mod refusals;
mod slow_upstream;
