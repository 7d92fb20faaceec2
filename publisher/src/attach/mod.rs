//! Decides which layers a function should have, without calling AWS.

pub(crate) mod layer_list;
