//! What a path means. Duplicate slashes fold, as in Relay; a slash at the end is optional for ingestion.

use crate::config::ProjectId;

/// Where a request goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Route {
    /// `/envelope`: the `tunnel` of JavaScript SDKs; the envelope's header says which project.
    Tunnel,
    /// `/api/{project}/envelope/`.
    Envelope(ProjectId),
    /// `/api/{project}/store/`: a bare JSON event.
    Store(ProjectId),
    /// `/api/relay/healthcheck/{live,ready}/` and `/api/0/relays/live/`.
    Health,
    /// An ingestion path whose project is no number.
    BadProject,
    /// A kind of health check that does not exist.
    BadHealth,
    /// Nothing of ours.
    Unknown,
}

impl Route {
    /// Reads a path without its query.
    pub(super) fn of(path: &str) -> Self {
        let mut segments = path.split('/').filter(|s| !s.is_empty());
        let parts = [(); 5].map(|()| segments.next());
        let closed = path.ends_with('/');
        match parts {
            [Some("envelope"), None, ..] => Self::Tunnel,
            [Some("api"), Some("relay"), Some("healthcheck"), Some(kind), None] if closed => {
                if matches!(kind, "live" | "ready") { Self::Health } else { Self::BadHealth }
            }
            [Some("api"), Some("0"), Some("relays"), Some("live"), None] => Self::Health,
            [Some("api"), Some(project), Some("envelope"), None, ..] => {
                ProjectId::parse(project).map_or(Self::BadProject, Self::Envelope)
            }
            [Some("api"), Some(project), Some("store"), None, ..] => {
                ProjectId::parse(project).map_or(Self::BadProject, Self::Store)
            }
            _ => Self::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths() {
        let project = ProjectId::parse("42").unwrap();
        for (path, route) in [
            ("/envelope", Route::Tunnel),
            ("/envelope/", Route::Tunnel),
            ("//envelope", Route::Tunnel),
            ("/api/42/envelope/", Route::Envelope(project)),
            ("/api/42/envelope", Route::Envelope(project)),
            ("//api//42//envelope//", Route::Envelope(project)),
            ("/api/42/store/", Route::Store(project)),
            ("/api/abc/store/", Route::BadProject),
            ("/api/-1/envelope/", Route::BadProject),
            ("/api/relay/healthcheck/live/", Route::Health),
            ("/api/relay/healthcheck/ready/", Route::Health),
            ("/api/relay/healthcheck/live", Route::Unknown),
            ("/api/relay/healthcheck/other/", Route::BadHealth),
            ("/api/0/relays/live/", Route::Health),
            ("/api/42/envelope/more", Route::Unknown),
            ("/envelope/more", Route::Unknown),
            ("/api/", Route::Unknown),
            ("/", Route::Unknown),
            ("", Route::Unknown),
        ] {
            assert_eq!(Route::of(path), route, "{path}");
        }
    }
}
