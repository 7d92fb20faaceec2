//! Tasks that outlive their own panics: an extension whose work has come to grief goes on.

use crate::log;
use std::future::Future;
use std::panic;
use std::time::Duration;

/// Between the fall of a task and its next life, so that a fault that recurs does not eat the CPU.
const PAUSE: Duration = Duration::from_millis(100);

/// Runs a task, and runs it anew whenever it panics, for as long as the process lives.
pub fn supervise<F>(name: &'static str, mut start: impl FnMut() -> F + Send + 'static)
where
    F: Future<Output = ()> + Send + 'static,
{
    tokio::spawn(async move {
        while let Err(error) = tokio::spawn(start()).await {
            log::error("a task came to grief and is started again", &[("task", &name), ("error", &error)]);
            tokio::time::sleep(PAUSE).await;
        }
    });
}

/// Sends panics to the log instead of stderr: one line, with the place.
pub fn log_panics() {
    panic::set_hook(Box::new(|info| {
        let payload = info.payload();
        let text = payload.downcast_ref::<&str>().copied();
        let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str)).unwrap_or("unknown");
        match info.location() {
            Some(place) => log::error("panic", &[("what", &text), ("at", &place)]),
            None => log::error("panic", &[("what", &text)]),
        }
    }));
}
