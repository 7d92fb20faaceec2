//! Counts deliveries by the extension's own log at `debug`.

use super::log::Log;

/// Waits until the extension has logged this number of deliveries. Their connections are idle again then.
pub async fn wait_for(log: &Log, enough: usize) {
    log.wait_for_lines("\"message\":\"delivered\"", enough).await;
}
