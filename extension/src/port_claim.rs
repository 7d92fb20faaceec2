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
    use std::net::TcpListener;
    use std::time::{Duration, Instant};

    #[test]
    fn a_port_is_claimed_while_the_claim_lives() {
        // The claim does not look at these sockets. They keep others from the ports, such as another run of this test.
        let sockets = [(); 4].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
        let ports = sockets.each_ref().map(|socket| socket.local_addr().unwrap().port());
        let addresses = ["127.0.0.1", "0.0.0.0", "::1", "192.0.2.1"].into_iter().zip(ports);
        let claims = claim(addresses.map(|(ip, port)| SocketAddr::new(ip.parse().unwrap(), port)));
        assert_eq!(ports.map(is_claimed), [true, true, false, false]);
        drop(claims);
        // A program that another test starts has copies of this process's sockets for a moment.
        let dropped = Instant::now();
        while ports.into_iter().any(is_claimed) {
            assert!(dropped.elapsed() < Duration::from_secs(30), "the claims are still there");
            std::thread::yield_now();
        }
    }
}
