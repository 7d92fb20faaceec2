//! Looks names up. A look-up blocks a thread until the resolver answers, which takes many seconds if it hangs. So all
//! requests for a name share one look-up, and only a few run at a time.

use crate::task;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{Semaphore, watch};

/// The most look-ups that run at a time. Each takes a thread.
const MAX_RUNNING: usize = 16;
/// The most of these that look up the same name, so that a few names whose servers hang leave threads to others.
const MAX_OF_ONE: usize = 4;
/// The most look-ups that run or wait for that.
const MAX_WAITING: usize = 64;
/// A look-up that has run for this long may hang although the resolver works again, so the next request starts another.
const JOINABLE: Duration = Duration::from_secs(1);

/// The result of a look-up. An error is kept as its kind and text, because `io::Error` cannot be cloned.
type Addresses = Result<Arc<[IpAddr]>, (io::ErrorKind, String)>;

#[derive(Debug)]
struct LookUp {
    host: String,
    begun: Instant,
    result: watch::Receiver<Option<Addresses>>,
}

/// The look-ups that run.
#[derive(Debug)]
pub(super) struct Resolver {
    running: Mutex<Vec<LookUp>>,
    slots: Arc<Semaphore>,
}

impl Default for Resolver {
    fn default() -> Self {
        Self { running: Mutex::default(), slots: Arc::new(Semaphore::new(MAX_RUNNING)) }
    }
}

impl Resolver {
    /// Returns the addresses of a host. The caller bounds the time. The look-up goes on without the caller, and the
    /// next one waits for the same.
    pub(super) async fn resolve(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        if let Ok(address) = host.parse::<IpAddr>() {
            return Ok(vec![SocketAddr::new(address, port)]);
        }
        let mut result = self.join(host)?;
        let result = result.wait_for(Option::is_some).await.map(|result| result.clone());
        match result {
            Ok(Some(Ok(addresses))) => Ok(addresses.iter().map(|ip| SocketAddr::new(*ip, port)).collect()),
            Ok(Some(Err((kind, text)))) => Err(io::Error::new(kind, text)),
            // The task of the look-up has ended without a result, which takes a panic in it.
            Ok(None) | Err(_) => Err(io::Error::other("the look-up was interrupted")),
        }
    }

    /// Joins the look-up of this name, or starts one.
    fn join(&self, host: &str) -> io::Result<watch::Receiver<Option<Addresses>>> {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        // The sender of a look-up that has ended is gone.
        running.retain(|look_up| look_up.result.has_changed().is_ok());
        let (mut of_host, mut newest) = (0, None);
        for look_up in running.iter().filter(|look_up| look_up.host == host) {
            (of_host, newest) = (of_host + 1, Some(look_up));
        }
        if let Some(newest) = newest
            && (newest.begun.elapsed() < JOINABLE || of_host >= MAX_OF_ONE)
        {
            return Ok(newest.result.clone());
        }
        if running.len() >= MAX_WAITING {
            return Err(io::Error::other("too many names are being looked up"));
        }
        let (sender, result) = watch::channel(None);
        running.push(LookUp { host: host.to_owned(), begun: Instant::now(), result: result.clone() });
        let (host, slots) = (host.to_owned(), Arc::clone(&self.slots));
        task::spawn(async move {
            // The semaphore is never closed, so there is always a permit in the end.
            let _permit = slots.acquire().await;
            let found = tokio::net::lookup_host((&*host, 0)).await;
            let found = found.map(|addresses| addresses.map(|address| address.ip()).collect());
            sender.send_replace(Some(found.map_err(|error| (error.kind(), error.to_string()))));
        });
        Ok(result)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn requests_for_a_name_share_one_look_up() {
        let resolver = Resolver::default();
        let (one, other) = (resolver.join("localhost").unwrap(), resolver.join("localhost").unwrap());
        assert!(one.same_channel(&other));
        let addresses = resolver.resolve("localhost", 7).await.unwrap();
        assert!(addresses.contains(&"127.0.0.1:7".parse().unwrap()), "{addresses:?}");
        assert!(!one.same_channel(&resolver.join("localhost").unwrap()), "the result is not kept");
        assert_eq!(resolver.resolve("::1", 7).await.unwrap(), ["[::1]:7".parse().unwrap()]);
    }

    #[tokio::test]
    async fn the_number_of_names_is_bounded() {
        let resolver = Resolver::default();
        let refused = (0..200).filter(|n| resolver.join(&format!("{n}.invalid")).is_err()).count();
        assert_eq!(refused, 200 - MAX_WAITING);
    }
}
