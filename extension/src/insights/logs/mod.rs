//! The function's own lines become Sentry's structured logs. Pure: what is to be sent is handed out.

mod attributes;
mod batch;
mod breadcrumbs;
mod budget;
mod digits;

pub(super) use batch::{Container, LogContext};

use super::lines::Line;
use crate::config::FunctionLogs;
use crate::protocol::LogLevel;
use crate::telemetry::RequestId;
use batch::{Batch, ConstantBytes};
use breadcrumbs::Breadcrumbs;
use budget::Budget;
use serde_json::Value;
use std::time::SystemTime;

/// The level of a line that has none.
const DEFAULT_LEVEL: LogLevel = LogLevel::Info;

/// A number of logs, and their bytes as Sentry bills them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct LogCount {
    pub(super) logs: u64,
    pub(super) bytes: u64,
}

impl LogCount {
    pub(super) fn add(&mut self, logs: u64, bytes: u64) {
        self.logs = self.logs.saturating_add(logs);
        self.bytes = self.bytes.saturating_add(bytes);
    }
}

/// What became of the function's lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct LogCounts {
    /// All lines.
    pub(super) read: u64,
    /// Lines that are empty or below the level of the setting.
    pub(super) left_out: u64,
    /// Handed to the relay, or about to be.
    pub(super) queued: LogCount,
    /// More than the budget allows.
    pub(super) over_budget: LogCount,
}

/// The lines that are on their way to Sentry.
#[derive(Debug)]
pub(super) struct Logs {
    level: LogLevel,
    budget: Budget,
    batch: Batch,
    breadcrumbs: Breadcrumbs,
    counts: LogCounts,
    /// What is over the budget and was not reported to Sentry so far.
    unreported: LogCount,
    constant: ConstantBytes,
}

impl Logs {
    pub(super) fn new(settings: FunctionLogs, context: &LogContext) -> Self {
        Self {
            level: settings.level,
            budget: Budget::new(settings.budget),
            batch: Batch::default(),
            breadcrumbs: Breadcrumbs::default(),
            counts: LogCounts::default(),
            unreported: LogCount::default(),
            constant: ConstantBytes::new(context),
        }
    }

    /// Takes a line. Returns whether a container has to be made before the next one.
    pub(super) fn take(
        &mut self,
        line: Option<&Line<'_>>,
        request: Option<&RequestId>,
        time: SystemTime,
    ) -> bool {
        self.counts.read += 1;
        let level = line.and_then(|line| line.level).unwrap_or(DEFAULT_LEVEL);
        let Some(line) = line.filter(|_| level >= self.level) else {
            self.counts.left_out += 1;
            return false;
        };
        self.breadcrumbs.keep(&line.message, level, request, time);
        let constant = self.constant.of(request.is_some());
        let budget = &mut self.budget;
        let fits = |billed: usize| budget.spends(billed + constant, time);
        let (billed, was_added) = self.batch.add(line, level, request, time, fits);
        let billed = (billed + constant) as u64;
        if was_added {
            self.counts.queued.add(1, billed);
        } else {
            self.counts.over_budget.add(1, billed);
            self.unreported.add(1, billed);
        }
        self.batch.is_full()
    }

    /// Whether logs wait to be sent.
    pub(super) fn is_waiting(&self) -> bool {
        !self.batch.is_empty()
    }

    /// Makes a container of the logs that wait.
    pub(super) fn container(
        &mut self,
        context: impl FnMut(Option<&RequestId>) -> LogContext,
    ) -> Option<Container> {
        let expected = self.batch.expected(self.constant);
        let container = self.batch.take(context)?;
        // Trace, release and environment were not known for certain when the logs were written.
        self.budget.correct(expected, container.billed);
        let queued = &mut self.counts.queued.bytes;
        *queued = queued.saturating_add(container.billed as u64).saturating_sub(expected as u64);
        Some(container)
    }

    /// What is over the budget and has to be reported to Sentry.
    pub(super) fn take_unreported(&mut self) -> LogCount {
        std::mem::take(&mut self.unreported)
    }

    pub(super) fn counts(&self) -> LogCounts {
        self.counts
    }

    /// The latest lines of a request, for the event of its fault.
    pub(super) fn breadcrumbs(&self, request: Option<&RequestId>) -> Vec<Value> {
        self.breadcrumbs.of(request)
    }
}

#[cfg(test)]
mod tests;
