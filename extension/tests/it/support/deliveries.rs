//! What the extension itself knows to be delivered, by its log at `debug`.

use super::log::Log;

/// Waits until it knows of so many deliveries: then their connections are free again.
pub async fn known(log: &Log, enough: usize) {
    log.wait_for_lines("\"message\":\"delivered\"", enough).await;
}
