//! What went wrong, in the words and the exit code that the person or pipeline at the other end needs.

/// The exit codes of the command line: part of its contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Code {
    /// Something failed; nothing half-done is left behind.
    Failed = 1,
    /// The command was called wrongly (clap uses the same number).
    Usage = 2,
    /// Some required region is missing; running the command again resumes.
    Incomplete = 3,
}

/// An error on its way to the user: what happened, why, and what to do next.
#[derive(Debug)]
pub(crate) struct Failure {
    code: Code,
    message: String,
    hint: Option<String>,
}

impl Failure {
    /// Something failed (exit code 1).
    pub(crate) fn new(error: impl std::error::Error) -> Self {
        Self { code: Code::Failed, message: chain(&error), hint: None }
    }

    /// A failure described in one sentence, with any of the exit codes.
    pub(crate) fn message(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), hint: None }
    }

    /// Adds what to do next: a command where there is one.
    #[must_use]
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// What happened and why, on one line.
    pub(crate) fn text(&self) -> &str {
        &self.message
    }

    /// What to do next.
    pub(crate) fn next(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    /// The process's exit code.
    pub(crate) fn exit_code(&self) -> u8 {
        self.code as u8
    }
}

/// An error and its causes, outermost first: `cannot write dist/x.zip: permission denied`.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        let next_text = next.to_string();
        if !text.contains(&next_text) {
            text.push_str(": ");
            text.push_str(&next_text);
        }
        cause = next.source();
    }
    text
}
