//! The open connections of clients. They are bounded, because each takes a file descriptor, and the extension needs
//! some for upstream. If a client comes that would be one too many, the one that has been idle for longest is closed.
//!
//! The heads of unfinished requests are bounded too: together they may take as much as a few large heads. If there are
//! more, the one is closed that was begun first.

use super::by_id::ById;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::Waker;
use std::time::Duration;
use tokio::sync::Notify;

/// The descriptors that the process has open by itself: standard streams, the runtime's, listeners, Lambda's API.
const OWN: u64 = 16;
/// The descriptors for upstream, the look-up of its name, and files: the least, and the most.
const FOR_UPSTREAM: (u64, u64) = (6, 192);
/// The limit that is assumed if the system does not tell it. It is Lambda's.
const UNKNOWN_LIMIT: u64 = 1024;
/// The most memory of all unfinished heads, in bytes.
const MAX_HEADS: usize = 2 << 20;
/// What a head takes at least: the first size of the buffer that it is read into.
const LEAST_HEAD: usize = 8 * 1024;
/// With more connections than this, each reads its requests in small pieces, so that its buffer stays small.
const MANY: usize = 32;
/// How often a newcomer looks for a connection that can be closed, if there was none.
const RETRY: Duration = Duration::from_millis(100);

/// What a connection does. It is changed without a lock, because each request does so twice.
#[derive(Debug, Default)]
pub(crate) struct State {
    /// Counts up when a request's head is complete, and again when the response is ready.
    phase: AtomicU64,
    /// The number of the last change among the changes of all connections.
    changed: AtomicU64,
    is_closing: AtomicBool,
}

impl State {
    /// Notes that a request's head is complete, or that its response is ready.
    pub(crate) fn advance(&self) {
        static CHANGES: AtomicU64 = AtomicU64::new(1);
        self.phase.fetch_add(1, Ordering::Relaxed);
        self.changed.store(CHANGES.fetch_add(1, Ordering::Relaxed), Ordering::Relaxed);
    }

    /// The number of the phase. It is odd while a request is handled.
    pub(in crate::gateway) fn phase(&self) -> u64 {
        self.phase.load(Ordering::Relaxed)
    }

    /// Whether the connection has to close as soon as no request is handled.
    pub(in crate::gateway) fn is_closing(&self) -> bool {
        self.is_closing.load(Ordering::Relaxed)
    }

    fn is_busy(&self) -> bool {
        !self.phase().is_multiple_of(2)
    }
}

/// The open connections of some listeners.
#[derive(Debug)]
pub(crate) struct Clients {
    table: Mutex<Table>,
    /// Wakes the listeners that wait for a connection to end.
    ended: Notify,
    most: usize,
}

#[derive(Debug, Default)]
struct Table {
    open: ById<Client>,
    heads: usize,
}

#[derive(Debug)]
struct Client {
    state: Arc<State>,
    /// The memory of an unfinished head.
    head: usize,
    waker: Option<Waker>,
}

impl Table {
    /// Tells one connection to close: an idle one before one with an unfinished head, and first the one that has been
    /// so for longest. Returns `false` if there is none.
    fn close_first(&mut self, with_idle: bool) -> bool {
        let may_close = |client: &&mut Client| {
            let state = &client.state;
            !state.is_closing() && !state.is_busy() && (with_idle || client.head > 0)
        };
        let order = |client: &&mut Client| (client.head > 0, client.state.changed.load(Ordering::Relaxed));
        let Some(client) = self.open.values_mut().filter(may_close).min_by_key(order) else { return false };
        client.state.is_closing.store(true, Ordering::Relaxed);
        self.heads = self.heads.saturating_sub(std::mem::take(&mut client.head));
        if let Some(waker) = client.waker.take() {
            waker.wake();
        }
        true
    }

    /// Whether a connection is about to close.
    fn has_closing(&self) -> bool {
        self.open.values().any(|client| client.state.is_closing() && !client.state.is_busy())
    }
}

impl Clients {
    /// The connections of this process.
    pub(in crate::gateway) fn shared() -> &'static Arc<Self> {
        static CLIENTS: OnceLock<Arc<Clients>> = OnceLock::new();
        CLIENTS.get_or_init(|| {
            let limit = nix::sys::resource::getrlimit(nix::sys::resource::Resource::RLIMIT_NOFILE);
            Arc::new(Self::new(most(limit.map_or(UNKNOWN_LIMIT, |(soft, _)| soft))))
        })
    }

    pub(crate) fn new(most: usize) -> Self {
        Self { table: Mutex::default(), ended: Notify::new(), most }
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a connection. If there are too many then, it closes one that is idle or in the middle of a head, and waits
    /// until one has ended. If there is none, it calls `make_room`.
    pub(crate) async fn admit(self: &Arc<Self>, make_room: &(dyn Fn() + Sync)) -> Connection {
        loop {
            let ended = self.ended.notified();
            tokio::pin!(ended);
            ended.as_mut().enable();
            {
                let mut table = self.table();
                if table.open.len() < self.most {
                    return self.add(&mut table);
                }
                if !table.has_closing() && !table.close_first(true) {
                    make_room();
                }
            }
            // A connection that was told to close may get a request instead.
            let _ = tokio::time::timeout(RETRY, ended).await;
        }
    }

    fn add(self: &Arc<Self>, table: &mut Table) -> Connection {
        let state = Arc::<State>::default();
        state.advance();
        state.advance();
        let id = table.open.add(Client { state: Arc::clone(&state), head: 0, waker: None });
        Connection { clients: Arc::clone(self), id, state, waker: None, head: 0 }
    }

    /// Closes the connection that has been idle for longest, because the system has no descriptor left.
    pub(in crate::gateway) fn close_idle(&self) {
        let mut table = self.table();
        if !table.has_closing() {
            table.close_first(true);
        }
    }
}

/// The connections that a process with this limit of descriptors may have from clients.
fn most(limit: u64) -> usize {
    let for_upstream = (limit / 4).clamp(FOR_UPSTREAM.0, FOR_UPSTREAM.1);
    usize::try_from(limit.saturating_sub(OWN + for_upstream)).unwrap_or(usize::MAX).max(2)
}

/// One open connection. It is removed when this is dropped.
#[derive(Debug)]
pub(crate) struct Connection {
    clients: Arc<Clients>,
    id: u64,
    state: Arc<State>,
    /// The waker that the table has.
    waker: Option<Waker>,
    /// The memory of an unfinished head that the table counts.
    head: usize,
}

impl Connection {
    pub(crate) fn state(&self) -> &Arc<State> {
        &self.state
    }

    /// Counts the bytes of an unfinished head. 0 means that there is none any more.
    pub(in crate::gateway) fn set_head(&mut self, bytes: usize) {
        let head = if bytes > 0 { bytes.max(LEAST_HEAD).next_power_of_two() } else { 0 };
        if head == self.head {
            return;
        }
        self.head = head;
        let mut table = self.clients.table();
        let Some(client) = table.open.get_mut(self.id) else { return };
        let before = std::mem::replace(&mut client.head, head);
        table.heads = (table.heads + head).saturating_sub(before);
        while table.heads > MAX_HEADS && table.close_first(false) {}
    }

    /// Whether the connection has to close now. If not, the waker is called when it has to.
    pub(in crate::gateway) fn is_closing(&mut self, waker: &Waker) -> bool {
        if self.state.is_closing() {
            return true;
        }
        if self.waker.as_ref().is_none_or(|known| !known.will_wake(waker)) {
            self.waker = Some(waker.clone());
            if let Some(client) = self.clients.table().open.get_mut(self.id) {
                client.waker = Some(waker.clone());
            }
        }
        false
    }

    /// Whether there are so many connections that each has to be modest.
    pub(in crate::gateway) fn is_one_of_many(&self) -> bool {
        self.clients.table().open.len() > MANY
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        let mut table = self.clients.table();
        if let Some(client) = table.open.remove(self.id) {
            table.heads = table.heads.saturating_sub(client.head);
        }
        drop(table);
        self.clients.ended.notify_waiters();
    }
}

#[cfg(test)]
mod tests;
