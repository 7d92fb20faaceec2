//! What can be in an envelope, and what it is worth when there is not room for everything.

/// The type of an envelope's item, as far as it matters here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ItemKind {
    /// An error or message.
    Event,
    /// An event of the extension's own: what ended the function's environment. No SDK's item is read as one.
    Fault,
    /// A cron monitor's heartbeat.
    CheckIn,
    /// What a user says of a problem.
    Feedback,
    /// A report of a browser's security policies.
    Security,
    /// A file that belongs to an event.
    Attachment,
    /// Release health.
    Session,
    /// Structured logs.
    Log,
    /// Metrics.
    Metric,
    /// A trace's root in this function.
    Transaction,
    /// Parts of a trace.
    Span,
    /// A session replay or a part of it.
    Replay,
    /// Samples of the function's stacks in a transaction.
    Profile,
    /// A part of a continuous profile.
    ProfileChunk,
    /// Everything else, also what is not known yet.
    Other,
}

/// One item of an envelope, as far as the books need it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Item {
    /// Its type.
    pub kind: ItemKind,
    /// How many logs, metrics or spans it holds; 1 for all others.
    pub count: u32,
    /// Length of its payload.
    pub bytes: usize,
}

/// The worth of an envelope: when room or time is short, the least goes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Priority {
    /// Large, and sampled anyway.
    Profile,
    /// Large.
    Replay,
    /// Many.
    Span,
    /// A whole trace.
    Transaction,
    /// Small and periodical: logs, metrics, sessions, and what is not known.
    Telemetry,
    /// Errors, check-ins, feedback: what somebody is woken up for.
    Error,
    /// Faults of the function: the environment ends with them, so they leave before everything else.
    Fault,
}

impl Priority {
    /// How many there are.
    pub const COUNT: usize = Self::Fault as usize + 1;
}

impl ItemKind {
    /// Reads an item header's `type`.
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

    /// What an item of this kind is worth.
    pub fn priority(self) -> Priority {
        match self {
            Self::Fault => Priority::Fault,
            Self::Event | Self::CheckIn | Self::Feedback | Self::Security => Priority::Error,
            Self::Attachment | Self::Session | Self::Log | Self::Metric | Self::Other => Priority::Telemetry,
            Self::Transaction => Priority::Transaction,
            Self::Span => Priority::Span,
            Self::Replay => Priority::Replay,
            Self::Profile | Self::ProfileChunk => Priority::Profile,
        }
    }
}

impl Priority {
    /// An envelope is worth as much as the best in it: a profile travels with its transaction.
    pub fn of(items: &[Item]) -> Self {
        items.iter().map(|item| item.kind.priority()).max().unwrap_or(Self::Telemetry)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_envelope_is_worth_its_best_item() {
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
