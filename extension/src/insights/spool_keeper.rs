//! Keeps the faults in the spool that the relay cannot deliver, and removes those of earlier processes once they have
//! left.

use super::spool::{Content, Spool, event_id};
use crate::log;
use crate::protocol::EventId;
use crate::relay::{Envelope, FaultKeeper};
use std::fs::File;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

/// Keeps faults in the spool. A fault of an earlier process stays there until it has left.
#[derive(Clone, Debug)]
pub(super) struct SpoolKeeper {
    spool: Spool,
    sending: Arc<Mutex<Sending>>,
}

/// The faults of earlier processes that this one sends.
#[derive(Debug, Default)]
struct Sending {
    /// Each with the time when it was spooled for the first time. A fault that is spooled again keeps that time, so
    /// that it is given up after a day.
    faults: Vec<(EventId, SystemTime)>,
    /// Keeps other processes from sending them, as long as it is open.
    lock: Option<File>,
}

impl SpoolKeeper {
    /// Makes a keeper that touches no file until it is used.
    pub(super) fn new(folder: PathBuf) -> Self {
        Self { spool: Spool::new(folder), sending: Arc::default() }
    }

    fn sending(&self) -> MutexGuard<'_, Sending> {
        self.sending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads the faults that this process has to send.
    pub(super) fn start_sending(&self) -> Content {
        let mut content = self.spool.read(SystemTime::now());
        let faults = content.faults.iter().map(|fault| (fault.event_id.clone(), fault.since)).collect();
        *self.sending() = Sending { faults, lock: content.lock.take() };
        content
    }

    /// Returns since when a fault of an earlier process is spooled.
    fn since(&self, event_id: &EventId) -> Option<SystemTime> {
        self.sending().faults.iter().find(|(known, _)| known == event_id).map(|(_, since)| *since)
    }

    /// Removes a fault of an earlier process.
    pub(super) fn remove(&self, event_id: &EventId) {
        let mut sending = self.sending();
        let Some(at) = sending.faults.iter().position(|(known, _)| known == event_id) else { return };
        sending.faults.swap_remove(at);
        if let Err(error) = self.spool.remove(event_id) {
            log::warn(
                "a fault is not removed from the spool: the next process sends it again",
                &[("event_id", event_id), ("error", &error)],
            );
        }
        if sending.faults.is_empty() {
            sending.lock = None;
        }
    }
}

impl FaultKeeper for SpoolKeeper {
    fn keep(&self, fault: &Envelope) -> bool {
        let since = event_id(fault).and_then(|event_id| Some((self.since(&event_id)?, event_id)));
        let kept = match since {
            Some((_, event_id)) if self.spool.has(&event_id) => Ok(event_id),
            since => self.spool.store(fault, since.map_or_else(SystemTime::now, |(since, _)| since)),
        };
        match kept {
            Ok(event_id) => {
                let message = "a fault could not be delivered: it is spooled for the next process";
                log::warn(message, &[("event_id", &event_id)]);
                true
            }
            Err(error) => {
                log::error("a fault could not be delivered, and cannot be spooled", &[("error", &error)]);
                false
            }
        }
    }

    fn ended(&self, fault: &Envelope) {
        // Most processes send no fault of an earlier one, and need not read the envelope.
        if !self.sending().faults.is_empty()
            && let Some(event_id) = event_id(fault)
        {
            self.remove(&event_id);
        }
    }
}
