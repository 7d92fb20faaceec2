//! Takes in the platform's records.

use super::Environment;
use crate::insights::fault::Fault;
use crate::telemetry::{PlatformEvent, Record};
use std::time::SystemTime;

impl Environment {
    /// Takes in platform records. Returns the faults that are certain now.
    pub(in crate::insights) fn add_records(&mut self, records: Vec<Record>, now: SystemTime) -> Vec<Fault> {
        for record in records {
            self.enter(record);
        }
        self.certain(now)
    }

    fn enter(&mut self, record: Record) {
        match record.event {
            PlatformEvent::InitStart(_)
            | PlatformEvent::InitRuntimeDone(_)
            | PlatformEvent::InitReport(_)
            | PlatformEvent::RestoreStart
            | PlatformEvent::RestoreRuntimeDone(_)
            | PlatformEvent::RestoreReport(_) => self.inits.enter(&record),
            PlatformEvent::Start(start) => {
                let invocation = self.announced(&start.request);
                invocation.started = record.time.or(invocation.started);
                invocation.xray = start.trace.or_else(|| invocation.xray.take());
            }
            PlatformEvent::RuntimeDone(end) => {
                let invocation = self.invocation(&end.request);
                invocation.ended = invocation.ended.or(record.time);
                invocation.runtime_done.get_or_insert(end);
            }
            PlatformEvent::Report(end) => {
                let managed = self.managed;
                let invocation = self.invocation(&end.request);
                if std::mem::take(&mut invocation.has_stale_report) {
                    return;
                }
                if managed {
                    invocation.ended = invocation.ended.or(record.time);
                }
                invocation.report.get_or_insert(end);
            }
            PlatformEvent::Fault(fault) => {
                let invocation = match &fault.request {
                    Some(request) => Some(self.invocation(request)),
                    None => self.latest_mut(),
                };
                if let Some(invocation) = invocation {
                    invocation.fault_text.get_or_insert(fault.text);
                }
            }
            PlatformEvent::Dropped => {}
        }
    }
}
