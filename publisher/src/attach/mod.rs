//! Decides which layers a function should have, without calling AWS.

pub(crate) mod function_state;
pub(crate) mod insight_setting;
pub(crate) mod layer_list;
pub(crate) mod managed_by;
pub(crate) mod selection;
pub(crate) mod state_file;
