//! An upstream that behaves as a test says, also badly. It uses raw sockets, and counts exactly what arrived.
//!
//! An envelope is recognized by its marker (`report`). It has arrived when its request was read to the last byte, even
//! if there was no response.

mod connection;

pub use connection::header;

use super::{HANG, tls::TestTls};
use std::{
    collections::BTreeMap,
    net::SocketAddr,
    path::Path,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};
use tokio::{
    net::{TcpListener, TcpSocket, TcpStream},
    sync::watch,
    task::AbortHandle,
};

/// How the upstream treats connections and requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Behavior {
    /// Responds with 200 at once.
    Well,
    /// Refuses connections, because no socket listens.
    Refuse,
    /// Does not answer a SYN.
    Blackhole,
    /// Accepts connections, and then sends nothing, neither TLS nor a response.
    Stall,
    /// Has a certificate of an unknown authority.
    BadCertificate,
    /// Resets a connection as soon as it is accepted.
    ResetBefore,
    /// Resets a connection after a part of the body was read.
    ResetWithin,
    /// Resets a connection instead of a response.
    ResetAfter,
    /// Responds with this status and these header lines.
    Answer(u16, &'static str),
    /// Responds with this status to the first of two requests, and with 200 to the second.
    Alternate(u16),
    /// Responds with 200 after this time.
    Slow(Duration),
    /// Sends informational responses without end, and never a final one.
    Informational,
    /// Responds with 200 and an endless body.
    Endless,
    /// Sends one byte of the response a second.
    Drip,
    /// Responds with bytes that are not HTTP.
    Garbage,
    /// Responds with 200, and then closes the sending half of the connection without having announced it.
    HalfClose,
}

/// A complete request.
#[derive(Clone, Debug)]
pub struct Arrival {
    pub marker: String,
    /// The status, if a response was sent while the client was connected.
    pub answered: Option<u16>,
    /// The number of the connection, counted from 0.
    pub connection: usize,
    pub at: Instant,
    pub path: String,
    pub head: String,
    pub body: Vec<u8>,
}

/// What happened to the envelopes with one marker.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fate {
    /// The number that arrived and got a 2xx.
    pub taken: usize,
    /// The number that arrived and got another status.
    pub refused: usize,
    /// The number that arrived and got no response.
    pub unanswered: usize,
}

/// The upstream. It runs on the runtime that started it and ends when it is dropped.
pub struct ScriptedUpstream {
    address: SocketAddr,
    shared: Arc<Shared>,
    server: Mutex<Option<Server>>,
}

/// A listener and its task.
struct Server {
    task: AbortHandle,
    /// The connections that fill the backlog of a black hole.
    _fillers: Vec<TcpStream>,
}

/// The way in which all connections are ended.
#[derive(Default)]
struct Cut {
    reset: bool,
}

struct Shared {
    good: Option<TestTls>,
    bad: Option<TestTls>,
    behavior: watch::Sender<Behavior>,
    /// Tells all connections to end.
    cuts: watch::Sender<Cut>,
    connections: watch::Sender<usize>,
    arrivals: watch::Sender<Vec<Arrival>>,
    /// The number of requests of which a part was read.
    begun: watch::Sender<usize>,
}

impl ScriptedUpstream {
    /// Listens on a free port of 127.0.0.1 and behaves well at first.
    #[expect(clippy::unused_async, reason = "it takes a runtime, as the signature says")]
    pub async fn start(tls: bool) -> Self {
        Self::start_at("127.0.0.1:0".parse().unwrap(), tls)
    }

    /// Listens on this address of the test's own network.
    pub fn start_at(address: SocketAddr, tls: bool) -> Self {
        let shared = Arc::new(Shared {
            good: tls.then(TestTls::new),
            bad: tls.then(TestTls::new),
            behavior: watch::Sender::new(Behavior::Well),
            cuts: watch::Sender::default(),
            connections: watch::Sender::default(),
            arrivals: watch::Sender::default(),
            begun: watch::Sender::default(),
        });
        let listener = listen(address, 1024).unwrap();
        let address = listener.local_addr().unwrap();
        let upstream = Self { address, shared, server: Mutex::default() };
        upstream.serve(listener, Vec::new());
        upstream
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// Returns a DSN that names this upstream by `host`.
    pub fn dsn(&self, host: &str, key: &str) -> String {
        let scheme = if self.shared.good.is_some() { "https" } else { "http" };
        format!("{scheme}://{key}@{host}:{}/42", self.port())
    }

    /// Returns the certificate of the authority to trust.
    pub fn ca_file(&self) -> Option<&Path> {
        self.shared.good.as_ref().map(TestTls::ca_file)
    }

    /// Behaves like this from now on, also on open connections.
    pub async fn behave(&self, behavior: Behavior) {
        self.shared.behavior.send_replace(behavior.clone());
        match behavior {
            Behavior::Refuse => {
                self.stop();
                self.cut();
                self.closed().await;
            }
            Behavior::Blackhole => {
                self.stop();
                self.cut();
                self.closed().await;
                let listener = self.listen_again(0).await;
                // The kernel drops a SYN if the backlog is full.
                let mut fillers = Vec::new();
                while let Ok(filler) =
                    tokio::time::timeout(Duration::from_millis(50), TcpStream::connect(self.address)).await
                {
                    fillers.push(filler.unwrap());
                }
                let idle = tokio::spawn(async move {
                    let _listener = listener;
                    std::future::pending::<()>().await;
                });
                *self.server.lock().unwrap() = Some(Server { task: idle.abort_handle(), _fillers: fillers });
            }
            Behavior::ResetBefore | Behavior::BadCertificate => self.cut(),
            // Only a new connection makes a handshake, so open ones are cut.
            Behavior::Stall if self.shared.good.is_some() => self.cut(),
            _ => {}
        }
    }

    /// Behaves well again, for new and for waiting connections.
    pub async fn recover(&self) {
        let before = self.shared.behavior.send_replace(Behavior::Well);
        if matches!(before, Behavior::Refuse | Behavior::Blackhole) {
            self.stop();
            let listener = self.listen_again(1024).await;
            self.serve(listener, Vec::new());
        }
        // A connection that stalls now would stall for ever, so it is cut.
        if matches!(before, Behavior::Stall | Behavior::Drip | Behavior::Endless | Behavior::Informational) {
            self.cut();
        }
    }

    /// Listens on the same port again. The port is free once the task with the old listener has ended.
    async fn listen_again(&self, backlog: u32) -> TcpListener {
        let listening = async {
            loop {
                match listen(self.address, backlog) {
                    Ok(listener) => return listener,
                    Err(_) => tokio::task::yield_now().await,
                }
            }
        };
        let waited = tokio::time::timeout(HANG, listening).await;
        waited.unwrap_or_else(|_| panic!("{} is not free", self.address))
    }

    /// Closes all connections.
    pub fn cut(&self) {
        self.shared.cuts.send_replace(Cut { reset: false });
    }

    /// Resets all connections, and waits until they have ended.
    pub async fn reset(&self) {
        self.shared.cuts.send_replace(Cut { reset: true });
        tokio::task::yield_now().await;
    }

    /// Waits until every connection is closed.
    async fn closed(&self) {
        while Arc::strong_count(&self.shared) > 1 {
            tokio::task::yield_now().await;
        }
    }

    /// Returns the number of connections that were accepted so far.
    pub fn connections(&self) -> usize {
        *self.shared.connections.borrow()
    }

    /// Waits until a part of this number of requests was read.
    pub async fn wait_for_begun(&self, enough: usize) {
        let mut all = self.shared.begun.subscribe();
        wait(&format!("{enough} requests"), async { all.wait_for(|n| *n >= enough).await.map(drop) }).await;
    }

    /// Returns all requests that arrived so far.
    pub fn arrivals(&self) -> Vec<Arrival> {
        self.shared.arrivals.borrow().clone()
    }

    /// Returns what happened to the envelopes with each marker.
    pub fn fates(&self) -> BTreeMap<String, Fate> {
        fates(&self.shared.arrivals.borrow())
    }

    /// Waits until `wanted` returns true for the arrivals.
    pub async fn wait_until(&self, what: &str, wanted: impl Fn(&[Arrival]) -> bool) {
        let mut all = self.shared.arrivals.subscribe();
        let reached = tokio::time::timeout(HANG, all.wait_for(|all| wanted(all))).await;
        let told = || {
            let told = self.arrivals();
            told.iter().map(|a| format!("{} {:?}", a.marker, a.answered)).collect::<Vec<_>>().join(", ")
        };
        assert!(reached.is_ok(), "{what}: not within {HANG:?}; arrived: {}", told());
    }

    /// Waits until envelopes with all of these markers were taken.
    pub async fn wait_until_taken(&self, markers: &[String]) {
        let taken = |all: &[Arrival]| {
            let fates = fates(all);
            markers.iter().all(|marker| fates.get(marker).is_some_and(|fate| fate.taken > 0))
        };
        self.wait_until("not all was taken", taken).await;
    }

    fn serve(&self, listener: TcpListener, fillers: Vec<TcpStream>) {
        let task = tokio::spawn(connection::accept(listener, Arc::clone(&self.shared))).abort_handle();
        *self.server.lock().unwrap() = Some(Server { task, _fillers: fillers });
    }

    fn stop(&self) {
        if let Some(server) = self.server.lock().unwrap().take() {
            server.task.abort();
        }
    }
}

impl Drop for ScriptedUpstream {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Returns what happened to the envelopes with each marker in these arrivals.
pub fn fates(arrivals: &[Arrival]) -> BTreeMap<String, Fate> {
    let mut fates = BTreeMap::<String, Fate>::new();
    for arrival in arrivals {
        let fate = fates.entry(arrival.marker.clone()).or_default();
        match arrival.answered {
            Some(200..=299) => fate.taken += 1,
            Some(_) => fate.refused += 1,
            None => fate.unanswered += 1,
        }
    }
    fates
}

async fn wait(what: &str, event: impl Future<Output = Result<(), watch::error::RecvError>>) {
    let waited = tokio::time::timeout(HANG, event).await;
    waited.unwrap_or_else(|_| panic!("waited in vain for {what}")).unwrap();
}

fn listen(address: SocketAddr, backlog: u32) -> std::io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(backlog)
}
