//! Client connections: the listening sockets, limits on a request's time and memory, and reading its body.

pub(crate) mod body;
pub(super) mod body_error;
mod by_id;
mod client_stream;
pub(crate) mod clients;
pub(super) mod listeners;
pub(crate) mod memory_budget;
mod stall_guard;

use crate::guarded_stream::GuardedStream;
use crate::http::Stream;
use client_stream::ClientStream;
use clients::Connection;
use stall_guard::StallGuard;
use std::sync::Arc;
use tokio::net::TcpStream;

/// Makes the stream of a client's connection, which ends when the client stalls, or when others need its place.
pub(crate) fn guarded(stream: TcpStream, connection: Connection) -> Box<dyn Stream> {
    // Responses are small. Without this the system would hold them back until the client acknowledges earlier data.
    let _ = stream.set_nodelay(true);
    let (state, reads_little) = (Arc::clone(connection.state()), connection.is_one_of_many());
    let stream = ClientStream::new(stream, state, reads_little);
    Box::new(GuardedStream::new(stream, StallGuard::new(connection)))
}
