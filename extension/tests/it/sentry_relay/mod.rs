//! Tests Sentry's Relay as a child process. A stand-in in `/opt` takes its place between the extension and Sentry.

mod cold_start;
mod door;
mod ends;
mod faults;
mod only;
mod own;
mod real;
mod work;

use crate::flush::Environment;
use crate::support::{extension::Extension, lambda_api::Subscription, layer::Layer};
use std::time::Duration;

pub const SECOND: Duration = Duration::from_secs(1);

/// Starts an environment with the stand-in in its layer.
pub async fn start(flush: &str, lives: &[&str], delay: Duration) -> (Environment, Layer) {
    start_with(flush, lives, delay, &[]).await
}

pub async fn start_with(
    flush: &str,
    lives: &[&str],
    delay: Duration,
    settings: &[(&str, &str)],
) -> (Environment, Layer) {
    let layer = Layer::stand_in(lives, delay);
    (Environment::start_with(flush, Subscription::Accepted, settings).await, layer)
}

/// Waits for a line of the extension's log.
pub async fn logs(extension: &Extension, text: &str) -> String {
    extension.log.wait_for(text).await
}
