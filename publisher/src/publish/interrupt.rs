//! Handles requests to stop. After the first, nothing new begins. After the second, the run ends at once.

use tokio::sync::watch;

/// The urgency of a request to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Urgency {
    /// No request has come.
    None,
    /// Work that has begun is finished, and nothing new begins.
    Soon,
    /// The run ends at once, without waiting for anything.
    Now,
}

/// Tells whether the run was asked to stop.
#[derive(Clone, Debug)]
pub(crate) struct Interrupt {
    level: watch::Receiver<Urgency>,
}

impl Interrupt {
    /// From now on, Ctrl-C and SIGTERM do not end the process but ask it to stop. Each request is reported to
    /// `asked`.
    pub(crate) fn on_signals(asked: impl Fn(Urgency) + Send + 'static) -> std::io::Result<Self> {
        let (sender, level) = watch::channel(Urgency::None);
        let mut interrupt = signals::interrupt()?;
        let mut terminate = signals::terminate()?;
        tokio::spawn(async move {
            for urgency in [Urgency::Soon, Urgency::Now] {
                tokio::select! { _ = interrupt.recv() => {}, _ = terminate.recv() => {} }
                asked(urgency);
                sender.send_replace(urgency);
            }
            // This keeps the channel open for receivers that still read it.
            std::future::pending::<()>().await;
        });
        Ok(Self { level })
    }

    /// Makes one that never asks to stop.
    #[cfg(test)]
    pub(crate) fn never() -> Self {
        Self { level: watch::channel(Urgency::None).1 }
    }

    /// Whether nothing new should begin.
    pub(crate) fn is_asked(&self) -> bool {
        *self.level.borrow() >= Urgency::Soon
    }

    /// Waits for a request of at least this urgency.
    pub(crate) async fn asked(&self, urgency: Urgency) {
        let mut level = self.level.clone();
        if level.wait_for(|level| *level >= urgency).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

#[cfg(unix)]
mod signals {
    use tokio::signal::unix::{Signal, SignalKind, signal};

    pub(super) fn interrupt() -> std::io::Result<Signal> {
        signal(SignalKind::interrupt())
    }

    pub(super) fn terminate() -> std::io::Result<Signal> {
        signal(SignalKind::terminate())
    }
}

#[cfg(not(unix))]
mod signals {
    use tokio::signal::windows::{CtrlC, CtrlClose, ctrl_c, ctrl_close};

    pub(super) fn interrupt() -> std::io::Result<CtrlC> {
        ctrl_c()
    }

    pub(super) fn terminate() -> std::io::Result<CtrlClose> {
        ctrl_close()
    }
}
