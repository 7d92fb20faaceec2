//! The output of a process, line by line, while it runs.

use std::time::Duration;
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, BufReader},
    sync::watch,
};

/// Lines of one or more streams, in order of arrival.
#[derive(Clone)]
pub struct Log(watch::Sender<Vec<String>>);

impl Log {
    pub fn new() -> Self {
        Self(watch::Sender::new(Vec::new()))
    }

    /// Adds a stream's lines until it ends.
    pub fn collect(&self, stream: impl AsyncRead + Unpin + Send + 'static) -> tokio::task::JoinHandle<()> {
        let lines = self.0.clone();
        tokio::spawn(async move {
            let mut stream = BufReader::new(stream).split(b'\n');
            while let Ok(Some(line)) = stream.next_segment().await {
                lines.send_modify(|all| all.push(String::from_utf8_lossy(&line).into_owned()));
            }
        })
    }

    /// Waits for a line that contains `text`, and returns it.
    pub async fn wait_for(&self, text: &str, timeout: Duration) -> String {
        let mut all = self.0.subscribe();
        let found = async {
            loop {
                if let Some(line) = all.borrow_and_update().iter().find(|line| line.contains(text)) {
                    return line.clone();
                }
                all.changed().await.expect("the log is gone");
            }
        };
        let Ok(line) = tokio::time::timeout(timeout, found).await else {
            panic!("no line with {text:?} within {timeout:?} in:\n{}", self.text())
        };
        line
    }

    pub fn contains(&self, text: &str) -> bool {
        self.0.borrow().iter().any(|line| line.contains(text))
    }

    pub fn text(&self) -> String {
        self.0.borrow().join("\n")
    }
}
