//! What the extension itself knows to be delivered, by its log at `debug`.

use super::log::Log;
use std::time::{Duration, Instant};

/// Waits until it knows of so many deliveries: then their connections are free again.
pub async fn known(log: &Log, enough: usize, within: Duration) {
    let deadline = Instant::now() + within;
    while log.text().matches("\"message\":\"delivered\"").count() < enough {
        assert!(Instant::now() < deadline, "not {enough} deliveries within {within:?}:\n{}", log.text());
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}
