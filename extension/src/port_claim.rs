//! Tells the wrapper which ports the extension holds. Another process may have taken a port before, and the wrapper
//! must not send the SDK there.
//!
//! For each port on 127.0.0.1 the extension holds a Unix datagram socket with a name that contains the port. The
//! wrapper tries to connect to that name. The kernel answers at once and without the extension's help, so the question
//! takes microseconds, whatever the extension does, and it ends with the extension's process. The names are in the
//! abstract namespace, which the processes of an environment share and which needs no file.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr as UnixAddr, UnixDatagram};

/// The sockets that say which ports this process holds. Dropping it withdraws the claims.
#[derive(Debug)]
pub struct PortClaims {
    _sockets: Vec<UnixDatagram>,
}

/// Claims the ports of these addresses, on which this process listens. A port without a claim works too, but the
/// wrapper does not name it to the SDK.
pub fn claim(listening: impl Iterator<Item = SocketAddr>) -> PortClaims {
    let ports = listening.filter(|addr| serves_wrapper(addr.ip())).map(|addr| addr.port());
    PortClaims {
        _sockets: ports.filter_map(|port| UnixDatagram::bind_addr(&name(port).ok()?).ok()).collect(),
    }
}

/// Whether the extension listens on this port of 127.0.0.1 now.
pub fn is_claimed(port: u16) -> bool {
    // This asks only whether the name exists. A datagram socket has no queue of connections that could be full.
    name(port).and_then(|name| UnixDatagram::unbound()?.connect_addr(&name)).is_ok()
}

/// Whether a socket that listens on `ip` receives what is sent to 127.0.0.1.
fn serves_wrapper(ip: IpAddr) -> bool {
    ip == Ipv4Addr::LOCALHOST || ip == Ipv4Addr::UNSPECIFIED
}

fn name(port: u16) -> io::Result<UnixAddr> {
    UnixAddr::from_abstract_name(format!("sentry-lambda-extension:{port}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_claimed_while_the_claim_lives() {
        // No program listens on these ports. The claim does not look at the sockets.
        let addresses = ["127.0.0.1:1", "0.0.0.0:2", "[::1]:3", "192.0.2.1:4"].map(|a| a.parse().unwrap());
        let claims = claim(addresses.into_iter());
        let claimed: Vec<u16> = (1..=5).filter(|port| is_claimed(*port)).collect();
        assert_eq!(claimed, [1, 2]);
        drop(claims);
        assert!(!is_claimed(1) && !is_claimed(2));
    }
}
