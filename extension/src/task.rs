//! Tasks that are restarted after a panic, so that a panic in one task does not stop the extension.

use crate::log;
use std::future::Future;
use std::panic;
use std::pin::Pin;
use std::time::Duration;
use tokio::task::JoinHandle;

/// The pause between a panic and the restart of the task, so that a repeated panic does not use up the CPU.
const PAUSE: Duration = Duration::from_millis(100);

/// A task. All tasks have this one type, so that the binary contains tokio's code for a task once, and so that a large
/// task is not copied again and again on its way to the heap.
pub type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Starts a task at once.
pub(crate) fn spawn(task: impl Future<Output = ()> + Send + 'static) {
    drop(spawn_boxed(Box::pin(task)));
}

/// Starts a task at once, and returns the handle that can end it.
pub(crate) fn spawn_boxed(task: Task) -> JoinHandle<()> {
    tokio::spawn(task)
}

/// Starts a task at once. The returned future restarts it after each panic and completes when the task ends normally.
pub fn restart_on_panic<F>(name: &'static str, mut start: impl FnMut() -> F + Send + 'static) -> Task
where
    F: Future<Output = ()> + Send + 'static,
{
    let start: Box<dyn FnMut() -> Task + Send> = Box::new(move || Box::pin(start()));
    Box::pin(restart(name, start))
}

/// The first task is started before this returns its future.
fn restart(
    name: &'static str,
    mut start: Box<dyn FnMut() -> Task + Send>,
) -> impl Future<Output = ()> + Send {
    let mut running = spawn_boxed(start());
    async move {
        while let Err(error) = running.await {
            log::error("task panicked and is restarted", &[("task", &name), ("error", &error)]);
            tokio::time::sleep(PAUSE).await;
            running = spawn_boxed(start());
        }
    }
}

/// Runs a task in the background and restarts it after each panic.
pub fn supervise<F>(name: &'static str, start: impl FnMut() -> F + Send + 'static)
where
    F: Future<Output = ()> + Send + 'static,
{
    drop(spawn_boxed(restart_on_panic(name, start)));
}

/// Writes panics as one line with their location to the log instead of stderr.
pub fn log_panics() {
    panic::set_hook(Box::new(|info| {
        let payload = info.payload();
        let text = payload.downcast_ref::<&str>().copied();
        let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str)).unwrap_or("unknown");
        match info.location() {
            // The layer is built without line numbers, which would make it larger.
            Some(place) if place.line() == 0 => {
                log::error("panic", &[("what", &text), ("at", &place.file())]);
            }
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

    #[tokio::test(start_paused = true)]
    async fn a_task_is_restarted_until_it_ends_without_a_panic() {
        let starts = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&starts);
        let begun = tokio::time::Instant::now();
        restart_on_panic("test", move || {
            let earlier = counted.fetch_add(1, Ordering::SeqCst);
            async move { assert!(earlier == 2, "injected") }
        })
        .await;
        assert_eq!(starts.load(Ordering::SeqCst), 3);
        assert!(begun.elapsed() >= PAUSE * 2, "there was no pause before a restart");
    }
}
