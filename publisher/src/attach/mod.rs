//! Which layers a function should have: pure decisions.

pub(crate) mod layer_list;
