//! Recognizes refusals that a repetition of the same request would meet again. Something else has to change first.

use crate::aws::error::{CallError, CallErrorKind};

/// Why AWS refuses a request every time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The region does not support `CompatibleArchitectures`, as was the case in several new regions. Such a region
    /// runs `x86_64` only.
    Architectures,
    /// The request is larger than Lambda, or a proxy on the way, accepts.
    TooLarge,
    /// The account's code storage in the region is full.
    CodeStorage,
    /// The policy would become longer than AWS allows.
    PolicyLength,
    /// A policy of the organization or a permissions boundary denies the call, whatever the caller's own policies
    /// allow.
    ExplicitDeny,
    /// AWS does not accept the content of the request.
    Rejected,
}

impl CallError {
    /// Returns the refusal if this error is one that a repetition cannot change.
    pub(crate) fn refusal(&self) -> Option<Refusal> {
        classify(self.kind, self.code.as_deref().unwrap_or_default(), self.message())
    }
}

fn classify(kind: CallErrorKind, code: &str, message: &str) -> Option<Refusal> {
    let message = message.to_ascii_lowercase();
    let says = |text: &str| message.contains(text);
    match (kind, code) {
        (_, "CodeStorageExceededException") => Some(Refusal::CodeStorage),
        (_, "PolicyLengthExceededException") => Some(Refusal::PolicyLength),
        (_, "RequestTooLargeException" | "RequestEntityTooLargeException" | "EntityTooLarge") => {
            Some(Refusal::TooLarge)
        }
        (CallErrorKind::Denied, _)
            if says("explicit deny") || says("service control policy") || says("permissions boundary") =>
        {
            Some(Refusal::ExplicitDeny)
        }
        (CallErrorKind::Rejected, _) if says("http 413") || says("too large") => Some(Refusal::TooLarge),
        (CallErrorKind::Rejected, _) if says("compatiblearchitectures") && says("not supported") => {
            Some(Refusal::Architectures)
        }
        (CallErrorKind::Rejected, _) => Some(Refusal::Rejected),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn permanent_refusals_are_told_apart_from_temporary_errors() {
        use CallErrorKind::{Ambiguous, Denied, Rejected, Throttled};
        let architectures = "CompatibleArchitectures are not supported in ap-southeast-7. Please remove the \
             CompatibleArchitectures value from your request and try again";
        let organization = "User: arn:aws:sts::1:assumed-role/x is not authorized to perform: \
             lambda:PublishLayerVersion with an explicit deny in a service control policy";
        for (kind, code, message, expected) in [
            (Rejected, "InvalidParameterValueException", architectures, Some(Refusal::Architectures)),
            (Rejected, "InvalidParameterValueException", "something else", Some(Refusal::Rejected)),
            (Rejected, "", "HTTP 413", Some(Refusal::TooLarge)),
            (Rejected, "RequestEntityTooLargeException", "Request must be smaller", Some(Refusal::TooLarge)),
            (Rejected, "CodeStorageExceededException", "", Some(Refusal::CodeStorage)),
            (Rejected, "PolicyLengthExceededException", "", Some(Refusal::PolicyLength)),
            (Denied, "AccessDeniedException", organization, Some(Refusal::ExplicitDeny)),
            (Denied, "AccessDeniedException", "no identity-based policy allows it", None),
            (Throttled, "TooManyRequestsException", "", None),
            (Ambiguous, "ServiceException", "", None),
        ] {
            assert_eq!(classify(kind, code, message), expected, "{code}: {message}");
        }
    }
}
