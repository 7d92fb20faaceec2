//! Tests how the process handles what comes from outside: signals, arguments, and a stdout that nobody reads.

mod arguments;
mod half_answers;
mod no_ipv6;
mod signals;
mod stdout;
mod tail;
