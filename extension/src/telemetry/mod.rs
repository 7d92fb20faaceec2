//! What Lambda tells the extension about invocations, through its Telemetry API.

mod invocation_log;
mod listener;
mod record;
mod request_id;
mod subscription;

pub(crate) use record::{InitPhase, InitStart, InvocationEnd, PhaseEnd, PlatformEvent, Record};
#[cfg(test)]
pub(crate) use record::{InvocationStart, PlatformFault};
pub use request_id::RequestId;
pub use subscription::Subscribed;
pub(crate) use subscription::{FunctionEnd, Observer, Telemetry};
