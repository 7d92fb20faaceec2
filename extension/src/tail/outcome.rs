//! What became of an envelope or a request, as both the text and the JSON tell it.

use crate::log::Level;
use crate::relay::{Observed, Step};

/// The end of a line.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Outcome {
    pub(super) word: &'static str,
    pub(super) status: Option<u16>,
    /// How long upstream took, in milliseconds.
    pub(super) took_ms: Option<u64>,
    /// The extension's own name for the reason, as in the counts.
    pub(super) reason: Option<&'static str>,
    /// The reason in the words of upstream, or of the response to the client.
    pub(super) why: Option<String>,
}

impl Outcome {
    pub(super) fn of(observed: &Observed<'_>) -> Self {
        let as_word = |word| Self { word, ..Self::default() };
        match observed {
            Observed::Refused { status, reason, why } => Self {
                status: Some(*status).filter(|status| *status != 0),
                reason: Some(reason.name()),
                why: Some(why.to_string()),
                ..as_word("refused")
            },
            Observed::Envelope(_, step) => match step {
                Step::Accepted => as_word("accepted"),
                Step::Delivered { status, took } => Self {
                    status: Some(*status),
                    took_ms: Some(u64::try_from(took.as_millis()).unwrap_or(u64::MAX)),
                    ..as_word("delivered")
                },
                Step::Rejected { status, why } => {
                    Self { status: Some(*status), why: why.map(str::to_owned), ..as_word("rejected") }
                }
                Step::Waits { answer } => Self { why: Some(answer.to_string()), ..as_word("waits") },
                Step::Dropped(reason) => Self { reason: Some(reason.name()), ..as_word("dropped") },
            },
        }
    }

    /// How bad it is.
    pub(super) fn level(&self) -> Level {
        match self.word {
            "accepted" => Level::Debug,
            "delivered" => Level::Info,
            "waits" => Level::Warn,
            _ => Level::Error,
        }
    }
}
