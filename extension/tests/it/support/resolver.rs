//! Name resolution in a test's own network: a hosts file that can change, and a name server that fails or hangs.

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

/// A name that only this resolver knows, after `learn`.
pub const NAME: &str = "upstream.test";

/// How the name server responds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answers {
    /// It responds that the name does not exist.
    NoSuchName,
    /// It never responds.
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
    /// Replaces name resolution for this thread and its children. The thread has to be in a network of its own.
    pub async fn start(answers: Answers) -> Self {
        sched::unshare(sched::CloneFlags::CLONE_NEWNS).expect("no mount namespace");
        run("mount", &["--make-rprivate", "/"]);
        let [hosts, conf] = [(); 2].map(|()| tempfile::NamedTempFile::new().unwrap());
        fs::write(hosts.path(), "127.0.0.1 localhost\n").unwrap();
        fs::write(conf.path(), "nameserver 127.0.0.1\n").unwrap();
        for (file, over) in [(&hosts, "/etc/hosts"), (&conf, "/etc/resolv.conf")] {
            // The file may be a link, and a mount has to go over its target.
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
                    // The query is sent back as a response with the code 3 (NXDOMAIN).
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

    /// Makes the name known.
    pub fn learn(&self) {
        fs::write(self.hosts.path(), format!("127.0.0.1 localhost\n127.0.0.1 {NAME}\n")).unwrap();
    }

    /// Makes the name unknown.
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
