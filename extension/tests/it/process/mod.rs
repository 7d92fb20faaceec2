//! What the process meets from outside: signals, arguments, a stdout that nobody reads.

mod arguments;
mod signals;
mod stdout;
