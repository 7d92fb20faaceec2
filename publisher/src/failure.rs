//! The error that a command ends with: its text, what to do next, and the exit code.

/// The exit codes of the command line. They are part of its contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Code {
    /// The command failed and left nothing half done.
    Failed = 1,
    /// The command line is wrong. clap uses the same number.
    Usage = 2,
    /// A required region is missing. Running the command again resumes.
    Incomplete = 3,
}

/// An error for the user: what happened, why, and what to do next.
#[derive(Debug)]
pub(crate) struct Failure {
    code: Code,
    message: String,
    hint: Option<String>,
}

impl Failure {
    /// A failure with exit code 1, described by an error and its causes.
    pub(crate) fn new(error: impl std::error::Error) -> Self {
        Self { code: Code::Failed, message: chain(&error), hint: None }
    }

    /// A failure described in one sentence, with any of the exit codes.
    pub(crate) fn message(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), hint: None }
    }

    /// Adds what to do next, as a command if there is one.
    #[must_use]
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// What happened and why, on one line.
    pub(crate) fn text(&self) -> &str {
        &self.message
    }

    pub(crate) fn next(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    pub(crate) fn exit_code(&self) -> u8 {
        self.code as u8
    }
}

/// Joins an error and its causes, outermost first: `cannot write dist/x.zip: permission denied`. A cause that the
/// text already contains is left out.
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
