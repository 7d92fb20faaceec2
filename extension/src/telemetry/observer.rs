//! What receives everything that Lambda reports.

use super::function_record::FunctionRecord;
use super::record::Record;
use std::fmt::Debug;

/// Receives telemetry, in the order in which Lambda sends it.
pub(crate) trait Observer: Debug + Send + Sync {
    /// Whether the lines that the function writes are wanted. Only then Lambda is asked for them, because each line
    /// costs CPU time of the function.
    fn wants_function_records(&self) -> bool;

    /// The platform's records, of which there is at least one.
    fn platform(&self, records: Vec<Record>);

    /// One line that the function has written.
    fn function(&self, record: FunctionRecord<'_>);

    /// Lambda has dropped records, because they were not taken in time.
    fn dropped(&self, dropped: DroppedRecords);

    /// A part of a batch could not be read, so an unknown number of records is lost.
    fn unreadable(&self);

    /// Everything of a batch was passed on.
    fn batch_ended(&self);
}

/// The records that Lambda has dropped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct DroppedRecords {
    pub(crate) records: u64,
    pub(crate) bytes: u64,
}
