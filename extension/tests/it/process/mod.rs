//! What the process meets from outside: signals, arguments, a stdout that nobody reads.

mod arguments;
mod half_answers;
mod no_ipv6;
mod signals;
mod stdout;
