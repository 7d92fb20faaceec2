//! Decides for which project a request is, who sends it, and to which Sentry it goes.

use super::auth::{Auth, AuthError};
use super::response::rejection::Rejection;
use crate::config::{Config, Dsn, ProjectId, Scheme, Upstream};
use hyper::StatusCode;
use std::sync::Arc;

/// The sender's authentication and the project that it sends to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ProjectAuth {
    pub(super) auth: Auth,
    pub(super) project: ProjectId,
}

impl ProjectAuth {
    /// Reads the project from the path. Fails if `auth` is missing, for routes on which nothing else names the sender.
    pub(super) fn of_request(auth: Option<Auth>, project: &str) -> Result<Self, Rejection> {
        let project = project_in_path(project)?;
        Ok(Self { auth: auth.ok_or(AuthError::Missing)?, project })
    }

    /// Takes the sender from the request or from the `dsn` in the envelope's header. If both name one, they must agree.
    /// Without authentication in the request, the DSN decides alone, and the project in the path is ignored.
    pub(super) fn of_envelope(
        auth: Option<Auth>,
        project: Option<ProjectId>,
        dsn: Option<&Dsn>,
    ) -> Result<Self, Rejection> {
        let Some(auth) = auth else {
            let dsn = dsn.ok_or_else(|| unknown_sender("missing field `dsn`"))?;
            let key = dsn.key.clone().ok_or_else(|| unknown_sender("the dsn has no valid public key"))?;
            let project =
                dsn.project.ok_or_else(|| unknown_sender("the dsn does not end in a project number"))?;
            return Ok(Self { auth: Auth::from_key(key), project });
        };
        let named = dsn.and_then(|dsn| dsn.project);
        if let Some(dsn) = dsn {
            if project.is_some() && named != project {
                return Err(mismatch("project id"));
            }
            if dsn.key.as_ref() != Some(&auth.key) {
                return Err(mismatch("public key"));
            }
        }
        let no_project = || Rejection::envelope("the dsn in the header must end in a project number");
        Ok(Self { auth, project: project.or(named).ok_or_else(no_project)? })
    }
}

/// Reads the project number in a path.
pub(super) fn project_in_path(text: &str) -> Result<ProjectId, Rejection> {
    ProjectId::parse(text).ok_or_else(|| Rejection::bad_request("bad project path parameter"))
}

/// The rejection if neither the request nor the envelope's header names a valid sender.
pub(super) fn unknown_sender(cause: impl Into<String>) -> Rejection {
    Rejection::unauthorized("bad envelope authentication header").because(cause)
}

fn mismatch(what: &str) -> Rejection {
    Rejection::envelope(format!("{what} header mismatch between envelope and request"))
}

/// Where the request goes: to the configured upstream, or else to the host in the envelope's DSN if the list of allowed
/// hosts contains it.
pub(super) fn upstream(config: &Config, dsn: Option<&Dsn>) -> Result<Arc<Upstream>, Rejection> {
    if let Some(upstream) = &config.upstream {
        return Ok(Arc::clone(upstream));
    }
    let forbidden = |detail: String| Rejection::new(StatusCode::FORBIDDEN, detail);
    let named = dsn.map(|d| &d.upstream).filter(|u| !config.is_loop(u));
    let Some(upstream) = named else {
        let mistake = config.upstream_mistake.clone();
        return Err(forbidden(mistake.unwrap_or_else(|| {
            "no upstream: set SENTRY_DSN or SENTRY_EXTENSION_DSN in the function's environment".to_owned()
        })));
    };
    if !config.allowed_hosts.contains(upstream.host()) {
        let host = upstream.host();
        return Err(forbidden(format!(
            "host {host} is not allowed: add it to SENTRY_EXTENSION_ALLOWED_HOSTS"
        )));
    }
    if upstream.scheme() == Scheme::Http && !upstream.is_loopback() {
        return Err(forbidden("plain http is sent to loopback or to a configured upstream only".to_owned()));
    }
    Ok(Arc::new(upstream.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Overrides, PublicKey};

    const KEY: &str = "a94ae32be2584e0bbd7a4cbb95971fee";

    fn config(vars: &[(&str, &str)]) -> Config {
        let var = |name: &str| vars.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned());
        Config::read(var, Overrides::default()).0
    }

    fn dsn(text: &str) -> Dsn {
        Dsn::parse(&text.replace("KEY", KEY)).unwrap()
    }

    fn status<T>(result: Result<T, Rejection>) -> Option<u16> {
        result.err().map(|rejection| rejection.status.as_u16())
    }

    #[test]
    fn request_and_envelope_must_name_the_same_sender() {
        let auth = || Some(Auth::from_key(PublicKey::parse(KEY).unwrap()));
        let project = ProjectId::parse("42");
        let own = dsn("https://KEY@anywhere.example/42");
        let found = |auth, project, dsn| ProjectAuth::of_envelope(auth, project, dsn);
        assert_eq!(found(auth(), project, Some(&own)).unwrap().project, project.unwrap());
        assert_eq!(found(auth(), None, Some(&own)).unwrap().project, project.unwrap());
        // Without authentication in the request, the project in the path is ignored.
        assert_eq!(found(None, ProjectId::parse("7"), Some(&own)).unwrap().project, project.unwrap());
        assert_eq!(status(found(None, project, None)), Some(401));
        assert_eq!(status(found(auth(), None, None)), Some(400));
        assert_eq!(status(found(auth(), ProjectId::parse("7"), Some(&own))), Some(400));
        let other = dsn("https://ffffffffffffffffffffffffffffffff@anywhere.example/42");
        assert_eq!(status(found(auth(), project, Some(&other))), Some(400));
        assert_eq!(status(found(None, project, Some(&dsn("https://short@anywhere.example/42")))), Some(401));
    }

    #[test]
    fn upstreams_that_an_envelope_may_choose() {
        let unconfigured = config(&[]);
        let sentry = dsn("https://KEY@o1.ingest.sentry.io/42");
        assert_eq!(upstream(&unconfigured, Some(&sentry)).unwrap().host(), "o1.ingest.sentry.io");
        assert_eq!(status(upstream(&unconfigured, Some(&dsn("https://KEY@evil.example/42")))), Some(403));
        assert_eq!(status(upstream(&unconfigured, Some(&dsn("http://KEY@sentry.io/42")))), Some(403));
        assert_eq!(status(upstream(&unconfigured, Some(&dsn("http://KEY@localhost:5333/42")))), Some(403));
        assert_eq!(status(upstream(&unconfigured, None)), Some(403));
        let configured = config(&[("SENTRY_DSN", "http://k@relay.example:3000/1")]);
        for envelope in [None, Some(&sentry)] {
            assert_eq!(upstream(&configured, envelope).unwrap().host(), "relay.example");
        }
    }

    #[test]
    fn a_dsn_that_points_to_the_extension_is_explained() {
        let pointing_here = config(&[("SENTRY_DSN", "http://KEY@localhost:5333/42")]);
        let rejection = upstream(&pointing_here, None).unwrap_err();
        assert!(rejection.detail.contains("SENTRY_EXTENSION_DSN"), "{}", rejection.detail);
    }
}
