//! What a path means. Duplicate slashes fold, as in Relay; a slash at the end is optional for ingestion.

use crate::protocol::ItemKind;

/// Where a request goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Route<'a> {
    /// Takes data in.
    Ingest(Ingest<'a>),
    /// `/api/relay/healthcheck/{live,ready}/` and `/api/0/relays/live/`.
    Health,
    /// A kind of health check that does not exist.
    BadHealth,
    /// Any other path of the API: upstream knows.
    Forward,
    /// Nothing of ours.
    Unknown,
}

/// Routes that take data in. Projects and keys are as they stand in the path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ingest<'a> {
    /// `/envelope`: the `tunnel` of JavaScript SDKs; the envelope's header says which project.
    Tunnel,
    /// `/api/{project}/envelope/`.
    Envelope { project: &'a str },
    /// `/api/{project}/store/`: a bare JSON event.
    Store { project: &'a str },
    /// `/api/{project}/security/` and `/csp-report/`: a browser's report.
    Security { project: &'a str },
    /// `/api/{project}/cron/{slug}[/{key}]`: a check-in without an SDK.
    Cron { project: &'a str, slug: &'a str, key: Option<&'a str> },
    /// `/api/{project}/minidump`: a native crash.
    Minidump { project: &'a str },
    /// `/api/{project}/unreal/{key}/`: a crash of the Unreal Engine.
    Unreal { project: &'a str, key: &'a str },
    /// `/api/{project}/events/{event}/attachments/`.
    Attachments { project: &'a str, event: &'a str },
    /// What upstream must see as it was sent: OTLP, network error reports, `/api/store/`.
    Pass { project: &'a str, kind: ItemKind },
}

impl<'a> Route<'a> {
    /// Reads a path without its query.
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
            // Old SDKs leave the project to the key.
            [Some("api"), Some("store"), None, ..] => {
                return Some(Self::Pass { project: "0", kind: ItemKind::Event });
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
            [Some("nel"), None, ..] => Self::Pass { project, kind: ItemKind::Log },
            [Some("otlp"), Some("v1"), Some("traces"), None, ..]
            | [Some("integration"), Some("otlp"), Some("v1"), Some("traces"), None, ..] => {
                Self::Pass { project, kind: ItemKind::Span }
            }
            [Some("integration"), Some("otlp"), Some("v1"), Some("logs"), None, ..] => {
                Self::Pass { project, kind: ItemKind::Log }
            }
            _ => return None,
        })
    }

    /// The methods that it answers, for `Allow`.
    pub(super) fn methods(&self) -> &'static str {
        match self {
            Self::Store { .. } | Self::Cron { .. } => "GET, POST",
            _ => "POST",
        }
    }
}

/// A path and query with single slashes.
pub(super) fn folded(path_and_query: &str) -> String {
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
    fn paths_of_ingestion() {
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
            ("/api/store/", Ingest::Pass { project: "0", kind: ItemKind::Event }),
            ("/api/42/nel/", Ingest::Pass { project, kind: ItemKind::Log }),
            ("/api/42/integration/otlp/v1/traces", Ingest::Pass { project, kind: ItemKind::Span }),
            ("/api/42/integration/otlp/v1/logs/", Ingest::Pass { project, kind: ItemKind::Log }),
            ("/api/42/otlp/v1/traces", Ingest::Pass { project, kind: ItemKind::Span }),
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
    fn slashes_fold_in_the_path_alone() {
        assert_eq!(folded("//api///0//x/?a=//b"), "/api/0/x/?a=//b");
        assert_eq!(folded("/api/0"), "/api/0");
    }
}
