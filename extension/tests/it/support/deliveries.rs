//! Counts deliveries by the extension's own log at `debug`.

use super::log::Log;
use std::time::{Duration, Instant};

/// Waits until the extension has logged this number of deliveries. Their connections are idle again then.
pub async fn known(log: &Log, enough: usize, within: Duration) {
    let deadline = Instant::now() + within;
    while log.text().matches("\"message\":\"delivered\"").count() < enough {
        assert!(Instant::now() < deadline, "not {enough} deliveries within {within:?}:\n{}", log.text());
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}
