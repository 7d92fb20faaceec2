//! The sockets that SDKs send to. If another process uses a port, the extension logs that and works without it.

use crate::log;
use std::io;
use std::net::{SocketAddr, TcpListener};

/// An address that the extension could not listen on.
#[derive(Debug)]
pub struct Unbound {
    /// The configured address.
    pub addr: SocketAddr,
    /// Why the system refused it.
    pub error: io::Error,
}

/// The sockets that were bound, and the failures.
pub type Sockets = (Vec<TcpListener>, Vec<Unbound>);

/// Binds addresses. Must run before `/register`: the function may send as soon as its own init runs, and its
/// connections then wait in the backlog.
pub fn bind(addresses: &[SocketAddr]) -> Sockets {
    let mut bound = Vec::new();
    let mut unbound = Vec::new();
    for addr in addresses {
        match TcpListener::bind(addr).and_then(|l| l.set_nonblocking(true).map(|()| l)) {
            Ok(listener) => bound.push(listener),
            Err(error) => unbound.push(Unbound { addr: *addr, error }),
        }
    }
    (bound, unbound)
}

/// Logs the addresses on which the extension listens, and those on which it cannot. `message` says for what.
pub fn report(message: &str, (bound, unbound): &Sockets) {
    for addr in bound.iter().filter_map(|l| l.local_addr().ok()) {
        log::info(message, &[("addr", &addr)]);
    }
    for Unbound { addr, error } in unbound {
        // A sandbox without IPv6 is not worth a warning if IPv4 works.
        if addr.is_ipv6() && means_no_ipv6(error) && !bound.is_empty() {
            log::debug("IPv6 is not available", &[("addr", addr)]);
        } else {
            log::warn("cannot listen: another process may use the port", &[("addr", addr), ("error", error)]);
        }
    }
}

/// Whether the error says that the kernel has no IPv6, or that it is switched off.
fn means_no_ipv6(error: &io::Error) -> bool {
    const EAFNOSUPPORT: i32 = nix::errno::Errno::EAFNOSUPPORT as i32;
    error.kind() == io::ErrorKind::AddrNotAvailable || error.raw_os_error() == Some(EAFNOSUPPORT)
}
