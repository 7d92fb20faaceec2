//! Being asked to stop: once, to begin nothing more; twice, to leave everything as it is.

use tokio::sync::watch;

/// How urgently.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Urgency {
    /// Nobody asked.
    None,
    /// What has begun is finished.
    Soon,
    /// Nothing is waited for.
    Now,
}

/// Whether somebody asked.
#[derive(Clone, Debug)]
pub(crate) struct Interrupt {
    level: watch::Receiver<Urgency>,
}

impl Interrupt {
    /// From now on, Ctrl-C and SIGTERM no longer end the process, but ask it to stop. `asked` is told.
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
            // The channel stays open for those who still ask.
            std::future::pending::<()>().await;
        });
        Ok(Self { level })
    }

    /// Whether nothing more should be begun.
    pub(crate) fn is_asked(&self) -> bool {
        *self.level.borrow() >= Urgency::Soon
    }

    /// Waits until it is asked that urgently.
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
