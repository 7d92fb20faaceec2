//! Tests each fault of upstream in each phase of an environment's life.

mod cell;
mod matrix;
mod phases;
