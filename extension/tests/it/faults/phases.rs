//! The phases of an environment's life in which a fault begins.

use super::cell::{Cell, Counts, Fault};
use std::time::Duration;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// The fault exists from the start.
    First,
    /// The fault begins after envelopes were delivered over a connection that is still open.
    MidStream,
    /// The fault begins while an invocation is held for its deliveries.
    Hold,
    /// The fault begins at SHUTDOWN, with two seconds left.
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

/// After this time the extension has noticed the fault, because it has made a try.
const FAULT_NOTICED: Duration = Duration::from_millis(300);

async fn first(fault: Fault) -> Counts {
    let mut cell = Cell::start(fault).await;
    cell.fail().await;
    cell.invoke(1).await;
    tokio::time::sleep(FAULT_NOTICED).await;
    cell.recover().await;
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
    tokio::time::sleep(FAULT_NOTICED).await;
    cell.invoke(1).await;
    cell.recover().await;
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
        tokio::time::sleep(FAULT_NOTICED).await;
    }
    let waited_for = cell.invoke(1).await;
    assert!(
        !cell.fault.fails || waited_for == "nothing",
        "an outage that is known was waited for: {waited_for}"
    );
    cell.recover().await;
    cell.recovered().await;
    cell.shut_down(true, false).await
}

async fn shutdown(fault: Fault) -> Counts {
    let mut cell = Cell::start(fault).await;
    cell.invoke(1).await;
    cell.recovered().await;
    cell.fail().await;
    cell.invoke(3).await;
    // A try that hangs lasts until the end. A try that fails quickly is followed by another, when upstream has
    // recovered.
    let all_arrives = cell.fault.quick;
    cell.shut_down(all_arrives, true).await
}
