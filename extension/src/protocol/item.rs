//! The types of items in an envelope, and their priorities when the queue cannot hold everything.

/// The type of an envelope's item. Types that are handled alike share one kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ItemKind {
    /// An error or a message.
    Event,
    /// The extension's own event about a fault of the function. No item of an SDK becomes one.
    Fault,
    /// A check-in of a cron monitor.
    CheckIn,
    /// A user's feedback or crash report form.
    Feedback,
    /// A browser's report about a violated security policy.
    Security,
    /// A file that belongs to an event.
    Attachment,
    /// One session, or counts of sessions, for release health.
    Session,
    /// A container of structured logs.
    Log,
    /// A container of lines from the function's own log, which the extension sends. No item of an SDK becomes one.
    FunctionLog,
    /// A container of metrics.
    Metric,
    /// A transaction, which is the root span of the function's part of a trace.
    Transaction,
    /// A span, or a container of spans.
    Span,
    /// A session replay, or a part of one.
    Replay,
    /// A profile of one transaction: samples of the function's stacks.
    Profile,
    /// A chunk of a continuous profile.
    ProfileChunk,
    /// Any other type, including types that are not known yet.
    Other,
}

/// One item of an envelope, with the values that rate limits, priorities and client reports need.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Item {
    /// The item's type.
    pub kind: ItemKind,
    /// The number of logs, metrics or spans in a container, and 1 for all other items.
    pub count: u32,
    /// The length of the payload, in bytes. For lines of the function's log, the bytes that Sentry bills. For a request
    /// that is passed through unread, the length as received.
    pub bytes: usize,
}

/// The priority of an envelope, from low to high. If memory or time is short, the lowest is dropped first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Priority {
    /// Profiles, which are large and only samples.
    Profile,
    /// Session replays, which are large.
    Replay,
    /// Spans and lines of the function's log, of which there are many.
    Span,
    /// Transactions, each of which is a whole trace of the function.
    Transaction,
    /// Logs, metrics, sessions, attachments and unknown types, which are mostly small and frequent.
    Telemetry,
    /// Errors, check-ins, feedback and security reports, which people are alerted about.
    Error,
    /// Faults of the function. The environment ends with most of them, so they leave before everything else.
    Fault,
}

impl Priority {
    /// The number of priorities.
    pub const COUNT: usize = Self::Fault as usize + 1;
}

impl ItemKind {
    /// Maps the `type` of an item's header to its kind. Unknown types are `Other`.
    pub fn of(name: &str) -> Self {
        match name {
            "event" | "unreal_report" => Self::Event,
            "check_in" => Self::CheckIn,
            "user_report" | "feedback" => Self::Feedback,
            "security" | "raw_security" => Self::Security,
            "attachment" => Self::Attachment,
            "session" | "sessions" => Self::Session,
            "log" => Self::Log,
            "trace_metric" => Self::Metric,
            "transaction" => Self::Transaction,
            "span" => Self::Span,
            "replay_event" | "replay_recording" | "replay_video" => Self::Replay,
            "profile" => Self::Profile,
            "profile_chunk" => Self::ProfileChunk,
            _ => Self::Other,
        }
    }

    /// The name for people: the `type` of an item, or one of them if several share the kind.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Event | Self::Fault => "event",
            Self::CheckIn => "check_in",
            Self::Feedback => "feedback",
            Self::Security => "security",
            Self::Attachment => "attachment",
            Self::Session => "session",
            Self::Log | Self::FunctionLog => "log",
            Self::Metric => "trace_metric",
            Self::Transaction => "transaction",
            Self::Span => "span",
            Self::Replay => "replay",
            Self::Profile => "profile",
            Self::ProfileChunk => "profile_chunk",
            Self::Other => "other",
        }
    }

    /// The priority of items of this kind.
    pub fn priority(self) -> Priority {
        match self {
            Self::Fault => Priority::Fault,
            Self::Event | Self::CheckIn | Self::Feedback | Self::Security => Priority::Error,
            Self::Attachment | Self::Session | Self::Log | Self::Metric | Self::Other => Priority::Telemetry,
            Self::Transaction => Priority::Transaction,
            Self::Span | Self::FunctionLog => Priority::Span,
            Self::Replay => Priority::Replay,
            Self::Profile | Self::ProfileChunk => Priority::Profile,
        }
    }
}

impl Priority {
    /// The priority of an envelope is the highest one of its items. So a profile has the priority of the transaction
    /// that it was sent with.
    pub fn of(items: &[Item]) -> Self {
        items.iter().map(|item| item.kind.priority()).max().unwrap_or(Self::Telemetry)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_envelope_has_the_highest_priority_of_its_items() {
        let priority = |names: &[&str]| {
            let items = names.iter().map(|name| Item { kind: ItemKind::of(name), count: 1, bytes: 0 });
            Priority::of(&items.collect::<Vec<_>>())
        };
        assert_eq!(priority(&["transaction", "profile"]), Priority::Transaction);
        assert_eq!(priority(&["attachment", "event"]), Priority::Error);
        assert_eq!(priority(&["profile_chunk"]), Priority::Profile);
        assert_eq!(priority(&["from the future"]), Priority::Telemetry);
    }
}
