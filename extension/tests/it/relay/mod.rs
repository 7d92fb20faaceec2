//! Delivery as upstream and the function see it.
