//! Names in a test's own network: a hosts file that can change, and a name server that fails or hangs.

use super::tools;
use nix::sched;
use std::{
    fs,
    path::Path,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};
use tokio::{net::UdpSocket, task::AbortHandle};

/// A name that only this resolver knows, once it is told.
pub const NAME: &str = "upstream.test";

/// What the name server does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answers {
    /// The name does not exist.
    NoSuchName,
    /// Nothing, ever.
    Nothing,
}

/// The thread's own `/etc/resolv.conf` and `/etc/hosts`, and the name server.
pub struct Resolver {
    hosts: tempfile::NamedTempFile,
    _conf: tempfile::NamedTempFile,
    queries: Arc<AtomicUsize>,
    server: AbortHandle,
}

impl Resolver {
    /// Takes over name resolution for this thread and its children; it has to be in a network of its own.
    pub async fn start(answers: Answers) -> Self {
        sched::unshare(sched::CloneFlags::CLONE_NEWNS).expect("no mount namespace");
        run("mount", &["--make-rprivate", "/"]);
        let [hosts, conf] = [(); 2].map(|()| tempfile::NamedTempFile::new().unwrap());
        fs::write(hosts.path(), "127.0.0.1 localhost\n").unwrap();
        fs::write(conf.path(), "nameserver 127.0.0.1\n").unwrap();
        for (file, over) in [(&hosts, "/etc/hosts"), (&conf, "/etc/resolv.conf")] {
            // A link's target may be elsewhere.
            let over = fs::canonicalize(over).unwrap();
            run("mount", &["--bind", path(file.path()), path(&over)]);
        }
        let socket = UdpSocket::bind("127.0.0.1:53").await.unwrap();
        let queries = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&queries);
        let server = tokio::spawn(async move {
            let mut query = [0; 512];
            while let Ok((length, from)) = socket.recv_from(&mut query).await {
                counted.fetch_add(1, Ordering::Relaxed);
                if answers == Answers::NoSuchName && length > 3 {
                    // The question, sent back as an answer with the code 3.
                    query[2] |= 0x80;
                    query[3] = 0x83;
                    let _ = socket.send_to(&query[..length], from).await;
                }
            }
        });
        Self { hosts, _conf: conf, queries, server: server.abort_handle() }
    }

    /// The queries that the name server has received.
    pub fn queries(&self) -> usize {
        self.queries.load(Ordering::Relaxed)
    }

    /// From now on the name is known.
    pub fn learn(&self) {
        fs::write(self.hosts.path(), format!("127.0.0.1 localhost\n127.0.0.1 {NAME}\n")).unwrap();
    }

    /// From now on it is not.
    pub fn forget(&self) {
        fs::write(self.hosts.path(), "127.0.0.1 localhost\n").unwrap();
    }
}

impl Drop for Resolver {
    fn drop(&mut self) {
        self.server.abort();
    }
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn run(program: &str, args: &[&str]) {
    let status = Command::new(tools::program(program)).args(args).status().unwrap();
    assert!(status.success(), "{program} {args:?}: {status}");
}
