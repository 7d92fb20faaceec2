//! Maps paths to routes. Several slashes in a row count as one, as in Sentry's Relay. On ingestion routes the slash at
//! the end is optional.

use crate::protocol::ItemKind;

/// What a request's path asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Route<'a> {
    /// Accepts data for Sentry.
    Ingest(Ingest<'a>),
    /// A health check: `/api/relay/healthcheck/{live,ready}/` and `/api/0/relays/live/`.
    Health,
    /// A kind of health check that does not exist.
    BadHealth,
    /// Any other path of Sentry's API. The request is forwarded to upstream.
    Forward,
    /// A path outside of the API, which gets status 404.
    Unknown,
}

/// The routes that accept data. Projects and keys are the unchecked texts from the path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ingest<'a> {
    /// `/envelope`: the `tunnel` of JavaScript SDKs. The DSN in the envelope's header names the project.
    Tunnel,
    /// `/api/{project}/envelope/`: an envelope, from all current SDKs.
    Envelope { project: &'a str },
    /// `/api/{project}/store/`: a bare JSON event, from old SDKs.
    Store { project: &'a str },
    /// `/api/{project}/security/` and `/csp-report/`: a browser's report about a violated security policy.
    Security { project: &'a str },
    /// `/api/{project}/cron/{slug}[/{key}]`: a check-in of a cron job without an SDK.
    Cron { project: &'a str, slug: &'a str, key: Option<&'a str> },
    /// `/api/{project}/minidump`: a native crash report.
    Minidump { project: &'a str },
    /// `/api/{project}/unreal/{key}/`: a crash report of the Unreal Engine.
    Unreal { project: &'a str, key: &'a str },
    /// `/api/{project}/events/{event}/attachments/`: files for an event that was sent before.
    Attachments { project: &'a str, event: &'a str },
    /// Requests that upstream must see unchanged: OTLP, network error reports and `/api/store/`.
    Passthrough { project: &'a str, kind: ItemKind },
}

impl<'a> Route<'a> {
    /// Finds the route of a path. The path must not contain the query.
    pub(super) fn of(path: &'a str) -> Self {
        let mut segments = path.split('/').filter(|s| !s.is_empty());
        let parts = [(); 8].map(|()| segments.next());
        let closed = path.ends_with('/');
        if let Some(ingest) = Ingest::of(parts) {
            return Self::Ingest(ingest);
        }
        match parts {
            [Some("api"), Some("relay"), Some("healthcheck"), Some(kind), None, ..] if closed => {
                if matches!(kind, "live" | "ready") { Self::Health } else { Self::BadHealth }
            }
            [Some("api"), Some("relay"), Some(_), ..] => Self::Unknown,
            [Some("api"), Some("0"), Some("relays"), Some("live"), None, ..] if closed => Self::Health,
            [Some("api"), Some(_), ..] => Self::Forward,
            _ => Self::Unknown,
        }
    }
}

impl<'a> Ingest<'a> {
    fn of(parts: [Option<&'a str>; 8]) -> Option<Self> {
        let (project, rest) = match parts {
            [Some("envelope"), None, ..] => return Some(Self::Tunnel),
            // Old SDKs do not name the project. Upstream finds it by the key.
            [Some("api"), Some("store"), None, ..] => {
                return Some(Self::Passthrough { project: "0", kind: ItemKind::Event });
            }
            [Some("api"), Some(project), rest @ ..] => (project, rest),
            _ => return None,
        };
        Some(match rest {
            [Some("envelope"), None, ..] => Self::Envelope { project },
            [Some("store"), None, ..] => Self::Store { project },
            [Some("security" | "csp-report"), None, ..] => Self::Security { project },
            [Some("cron"), Some(slug), None, ..] => Self::Cron { project, slug, key: None },
            [Some("cron"), Some(slug), Some(key), None, ..] => Self::Cron { project, slug, key: Some(key) },
            [Some("minidump"), None, ..] => Self::Minidump { project },
            [Some("unreal"), Some(key), None, ..] => Self::Unreal { project, key },
            [Some("events"), Some(event), Some("attachments"), None, ..] => {
                Self::Attachments { project, event }
            }
            [Some("nel"), None, ..] => Self::Passthrough { project, kind: ItemKind::Log },
            [Some("otlp"), Some("v1"), Some("traces"), None, ..]
            | [Some("integration"), Some("otlp"), Some("v1"), Some("traces"), None, ..] => {
                Self::Passthrough { project, kind: ItemKind::Span }
            }
            [Some("integration"), Some("otlp"), Some("v1"), Some("logs"), None, ..] => {
                Self::Passthrough { project, kind: ItemKind::Log }
            }
            _ => return None,
        })
    }

    /// The methods that the route accepts, as a value for the `Allow` header.
    pub(super) fn methods(&self) -> &'static str {
        match self {
            Self::Store { .. } | Self::Cron { .. } => "GET, POST",
            _ => "POST",
        }
    }
}

/// Replaces several slashes in a row by one in the path. The query stays as it is.
pub(super) fn fold_slashes(path_and_query: &str) -> String {
    let (path, query) = match path_and_query.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (path_and_query, None),
    };
    let mut folded = String::with_capacity(path_and_query.len());
    for c in path.chars() {
        if c != '/' || !folded.ends_with('/') {
            folded.push(c);
        }
    }
    if let Some(query) = query {
        folded.push('?');
        folded.push_str(query);
    }
    folded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ingestion_paths() {
        let project = "42";
        for (path, ingest) in [
            ("/envelope", Ingest::Tunnel),
            ("/envelope/", Ingest::Tunnel),
            ("//envelope", Ingest::Tunnel),
            ("/api/42/envelope/", Ingest::Envelope { project }),
            ("/api/42/envelope", Ingest::Envelope { project }),
            ("//api//42//envelope//", Ingest::Envelope { project }),
            ("/api/abc/envelope/", Ingest::Envelope { project: "abc" }),
            ("/api/42/store/", Ingest::Store { project }),
            ("/api/42/security/", Ingest::Security { project }),
            ("/api/42/csp-report/", Ingest::Security { project }),
            ("/api/42/cron/nightly", Ingest::Cron { project, slug: "nightly", key: None }),
            ("/api/42/cron/nightly/abc/", Ingest::Cron { project, slug: "nightly", key: Some("abc") }),
            ("/api/42/minidump", Ingest::Minidump { project }),
            ("/api/42/unreal/abc/", Ingest::Unreal { project, key: "abc" }),
            ("/api/42/events/e/attachments/", Ingest::Attachments { project, event: "e" }),
            ("/api/store/", Ingest::Passthrough { project: "0", kind: ItemKind::Event }),
            ("/api/42/nel/", Ingest::Passthrough { project, kind: ItemKind::Log }),
            ("/api/42/integration/otlp/v1/traces", Ingest::Passthrough { project, kind: ItemKind::Span }),
            ("/api/42/integration/otlp/v1/logs/", Ingest::Passthrough { project, kind: ItemKind::Log }),
            ("/api/42/otlp/v1/traces", Ingest::Passthrough { project, kind: ItemKind::Span }),
        ] {
            assert_eq!(Route::of(path), Route::Ingest(ingest), "{path}");
        }
    }

    #[test]
    fn other_paths() {
        for (path, route) in [
            ("/api/relay/healthcheck/live/", Route::Health),
            ("/api/relay/healthcheck/ready/", Route::Health),
            ("/api/relay/healthcheck/live", Route::Unknown),
            ("/api/relay/healthcheck/other/", Route::BadHealth),
            ("/api/0/relays/live/", Route::Health),
            ("/api/42/envelope/more", Route::Forward),
            ("/api/0/organizations/", Route::Forward),
            ("/api/foo", Route::Forward),
            ("/envelope/more", Route::Unknown),
            ("/api/", Route::Unknown),
            ("/api", Route::Unknown),
            ("/apifoo", Route::Unknown),
            ("/", Route::Unknown),
            ("", Route::Unknown),
        ] {
            assert_eq!(Route::of(path), route, "{path}");
        }
    }

    #[test]
    fn slashes_are_folded_in_the_path_only() {
        assert_eq!(fold_slashes("//api///0//x/?a=//b"), "/api/0/x/?a=//b");
        assert_eq!(fold_slashes("/api/0"), "/api/0");
    }
}
