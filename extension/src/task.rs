//! Tasks that outlive their own panics: an extension whose task has panicked goes on.

use crate::log;
use std::future::Future;
use std::panic;
use std::time::Duration;

/// Between the fall of a task and its next life, so that a fault that recurs does not eat the CPU.
const PAUSE: Duration = Duration::from_millis(100);

/// Starts a task, and starts it anew whenever it panics. It runs at once; what is given back waits for its end.
pub fn outlive<F>(
    name: &'static str,
    mut start: impl FnMut() -> F + Send + 'static,
) -> impl Future<Output = ()> + Send
where
    F: Future<Output = ()> + Send + 'static,
{
    let mut living = tokio::spawn(start());
    async move {
        while let Err(error) = living.await {
            log::error("task panicked: it is started again", &[("task", &name), ("error", &error)]);
            tokio::time::sleep(PAUSE).await;
            living = tokio::spawn(start());
        }
    }
}

/// Runs a task, and runs it anew whenever it panics, for as long as the process lives.
pub fn supervise<F>(name: &'static str, start: impl FnMut() -> F + Send + 'static)
where
    F: Future<Output = ()> + Send + 'static,
{
    tokio::spawn(outlive(name, start));
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    #[tokio::test]
    async fn a_task_is_started_until_it_ends_well() {
        let lives = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&lives);
        let begun = std::time::Instant::now();
        outlive("test", move || {
            let life = counted.fetch_add(1, Ordering::SeqCst);
            async move { assert!(life == 2, "injected") }
        })
        .await;
        assert_eq!(lives.load(Ordering::SeqCst), 3);
        assert!(begun.elapsed() >= PAUSE * 2, "no pause between lives");
    }
}
