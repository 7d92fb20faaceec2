//! What Lambda reports about invocations to the extension, through its Telemetry API.

mod batch;
mod cursor;
mod fields;
mod function_record;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod invocation_log;
mod listener;
mod observer;
mod record;
mod request_id;
mod subscription;

pub(crate) use fields::{Fields, Number, Text};
pub(crate) use function_record::{FunctionOutput, FunctionRecord};
pub(crate) use observer::{DroppedRecords, Observer};
pub(crate) use record::{InitPhase, InitStart, InvocationEnd, PhaseEnd, PlatformEvent, Record};
#[cfg(test)]
pub(crate) use record::{InvocationMetrics, InvocationStart, PlatformFault};
pub use request_id::RequestId;
#[cfg(test)]
pub(crate) use subscription::Script;
pub use subscription::Subscribed;
pub(crate) use subscription::{FunctionEnd, Telemetry};
