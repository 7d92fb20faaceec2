//! The reasons for which the gateway itself refuses requests. What it refuses was never accepted, so it is counted
//! apart from envelopes.

/// The reason why a request is answered with an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefusalReason {
    /// The request was sent by this extension itself.
    Loop,
    /// No setting names an upstream, and neither does the envelope.
    NoUpstream,
    /// The envelope names an upstream that the settings do not allow.
    HostNotAllowed,
    /// The envelope names an upstream without encryption.
    PlainHttp,
    /// The `Host` header of a request to be forwarded does not name this machine.
    ForeignHost,
    /// Sentry's Relay does not filter it, and nothing may be sent that it has not filtered.
    Unfiltered,
    /// The sender does not authenticate, or not in a valid way.
    Authentication,
    /// The path leads nowhere, or elsewhere than it seems.
    Path,
    /// The path does not support the method.
    Method,
    /// The body or the query is not what the path demands.
    Invalid,
    /// The request is larger than upstream or the settings allow.
    TooLarge,
    /// The content type or the content encoding is not supported.
    Unsupported,
    /// The body came too slowly, or did not come to its end.
    Incomplete,
    /// Too many bodies were received at the same time.
    NoMemory,
    /// The request was to be forwarded, and upstream did not answer.
    NotForwarded,
    /// The bytes are not an HTTP/1.1 request.
    NotHttp,
}

impl RefusalReason {
    pub(super) const ALL: [Self; 16] = [
        Self::Loop,
        Self::NoUpstream,
        Self::HostNotAllowed,
        Self::PlainHttp,
        Self::ForeignHost,
        Self::Unfiltered,
        Self::Authentication,
        Self::Path,
        Self::Method,
        Self::Invalid,
        Self::TooLarge,
        Self::Unsupported,
        Self::Incomplete,
        Self::NoMemory,
        Self::NotForwarded,
        Self::NotHttp,
    ];

    /// Returns the name in logs.
    pub fn name(self) -> &'static str {
        match self {
            Self::Loop => "loop",
            Self::NoUpstream => "no_upstream",
            Self::HostNotAllowed => "host_not_allowed",
            Self::PlainHttp => "plain_http",
            Self::ForeignHost => "foreign_host",
            Self::Unfiltered => "unfiltered",
            Self::Authentication => "authentication",
            Self::Path => "path",
            Self::Method => "method",
            Self::Invalid => "invalid",
            Self::TooLarge => "too_large",
            Self::Unsupported => "unsupported",
            Self::Incomplete => "incomplete",
            Self::NoMemory => "no_memory",
            Self::NotForwarded => "not_forwarded",
            Self::NotHttp => "not_http",
        }
    }
}
