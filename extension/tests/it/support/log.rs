//! The output of a process, line by line, while it runs.

use super::HANG;
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
    pub async fn wait_for(&self, text: &str) -> String {
        self.wait_for_lines(text, 1).await.remove(0)
    }

    /// Waits for so many lines that contain `text`, and returns all that there are by then.
    pub async fn wait_for_lines(&self, text: &str, count: usize) -> Vec<String> {
        let mut all = self.0.subscribe();
        let found = async {
            loop {
                let lines = all.borrow_and_update().clone().into_iter().filter(|line| line.contains(text));
                let lines: Vec<String> = lines.collect();
                if lines.len() >= count {
                    return lines;
                }
                all.changed().await.expect("the log is gone");
            }
        };
        let Ok(lines) = tokio::time::timeout(HANG, found).await else {
            panic!("not {count} lines with {text:?} within {HANG:?} in:\n{}", self.text())
        };
        lines
    }

    pub fn contains(&self, text: &str) -> bool {
        self.0.borrow().iter().any(|line| line.contains(text))
    }

    pub fn text(&self) -> String {
        self.0.borrow().join("\n")
    }
}
