//! Reads how many bytes of a connection the kernel has not sent yet, or has sent without an acknowledgement.
//!
//! The kernel accepts up to several megabytes at once. On a slow line, an upload that is completely written may need
//! minutes more, and only this number tells whether it still moves. Linux reports it in `/proc`. On other systems it
//! is unknown.

use std::{
    collections::HashMap,
    fs::File,
    io::{BufRead, BufReader},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// The table is read at most this often, because many uploads ask at the same time and the kernel lists every
/// connection of the machine.
const MAX_AGE: Duration = Duration::from_millis(500);

/// The number of unacknowledged bytes by local port.
type Queues = HashMap<u16, u64>;

static CACHE: Mutex<Option<(Instant, Queues)>> = Mutex::new(None);

/// Returns how many bytes are not acknowledged yet on the connection with this local port. Returns `None` if that is
/// unknown.
pub(crate) fn unacknowledged_bytes(port: u16) -> Option<u64> {
    let mut last = CACHE.lock().unwrap_or_else(PoisonError::into_inner);
    if last.as_ref().is_none_or(|(at, _)| at.elapsed() >= MAX_AGE) {
        let mut queues = Queues::new();
        for table in ["/proc/self/net/tcp", "/proc/self/net/tcp6"] {
            // The table is read line by line, because it has megabytes on a busy machine.
            if let Ok(table) = File::open(table) {
                read(BufReader::new(table), &mut queues);
            }
        }
        *last = Some((Instant::now(), queues));
    }
    last.as_ref().and_then(|(_, queues)| queues.get(&port).copied())
}

fn read(table: impl BufRead, queues: &mut Queues) {
    for line in table.lines().skip(1).map_while(Result::ok) {
        let mut fields = line.split_whitespace();
        let port = fields.nth(1).and_then(|local| local.rsplit_once(':'));
        let port = port.and_then(|(_, port)| u16::from_str_radix(port, 16).ok());
        let queue = fields.nth(2).and_then(|queues| queues.split_once(':'));
        let queue = queue.and_then(|(sent, _)| u64::from_str_radix(sent, 16).ok());
        if let (Some(port), Some(queue)) = (port, queue) {
            *queues.entry(port).or_default() += queue;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_table_is_read_by_local_port() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid\n   \
            0: 0100007F:C350 0100007F:1F90 01 0001E240:00000007 01:00000014 00000000     0\n   \
            1: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0\n   \
            2: torn";
        let mut queues = Queues::new();
        read(table.as_bytes(), &mut queues);
        assert_eq!(queues, HashMap::from([(50_000, 123_456), (8080, 0)]));
    }
}
