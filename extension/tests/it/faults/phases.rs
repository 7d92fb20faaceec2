//! When the fault strikes.

use super::cell::{Cell, Counts, Fault};
use std::time::Duration;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Upstream has never been well.
    First,
    /// After envelopes that went well over a connection which is still open.
    MidStream,
    /// While an invocation waits for its envelopes to be delivered.
    Hold,
    /// With two seconds left to live.
    Shutdown,
}

impl Phase {
    pub const ALL: [Self; 4] = [Self::First, Self::MidStream, Self::Hold, Self::Shutdown];

    pub fn name(self) -> &'static str {
        match self {
            Self::First => "first",
            Self::MidStream => "mid-stream",
            Self::Hold => "hold",
            Self::Shutdown => "shutdown",
        }
    }

    pub async fn run(self, fault: Fault) -> Counts {
        match self {
            Self::First => first(fault).await,
            Self::MidStream => mid_stream(fault).await,
            Self::Hold => hold(fault).await,
            Self::Shutdown => shutdown(fault).await,
        }
    }
}

/// What can be noticed of a fault was noticed: a try that is answered, or cannot be, was made.
const STRUCK: Duration = Duration::from_millis(300);

async fn first(fault: Fault) -> Counts {
    let mut cell = Cell::start(fault).await;
    cell.fail().await;
    cell.invoke(1).await;
    tokio::time::sleep(STRUCK).await;
    cell.heal().await;
    cell.recovered().await;
    cell.shut_down(true, false).await
}

async fn mid_stream(fault: Fault) -> Counts {
    let mut cell = Cell::start(fault).await;
    for nth in 1..=3 {
        cell.invoke(1).await;
        cell.delivered(nth).await;
    }
    assert_eq!(cell.upstream.connections(), 1, "the connection is kept");
    cell.fail().await;
    cell.invoke(2).await;
    tokio::time::sleep(STRUCK).await;
    cell.invoke(1).await;
    cell.heal().await;
    cell.recovered().await;
    cell.invoke(1).await;
    cell.recovered().await;
    cell.shut_down(true, false).await
}

async fn hold(fault: Fault) -> Counts {
    let mut cell = Cell::start_holding(fault).await;
    cell.invoke(1).await;
    cell.recovered().await;
    cell.fail().await;
    cell.invoke(2).await;
    if cell.fault.fails {
        cell.failed(1).await;
    } else {
        tokio::time::sleep(STRUCK).await;
    }
    let waited_for = cell.invoke(1).await;
    assert!(
        !cell.fault.fails || waited_for == "nothing",
        "an outage that is known was waited for: {waited_for}"
    );
    cell.heal().await;
    cell.recovered().await;
    cell.shut_down(true, false).await
}

async fn shutdown(fault: Fault) -> Counts {
    let mut cell = Cell::start(fault).await;
    cell.invoke(1).await;
    cell.recovered().await;
    cell.fail().await;
    cell.invoke(3).await;
    // What hangs holds its try until the end; what fails quickly finds that upstream has recovered.
    let all_arrives = cell.fault.quick;
    cell.shut_down(all_arrives, true).await
}
