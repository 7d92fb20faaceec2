//! Decides for which project a request is, who sends it, and to which Sentry it goes.

use super::auth::{Auth, AuthError};
use super::response::rejection::Rejection;
use crate::config::{Config, Dsn, ProjectId, Scheme, Upstream};
use crate::relay::RefusalReason;
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

/// Where the request goes. `dsn` is the one in the envelope's header. In this order:
///
/// 1. The upstream that receives everything, if a setting names one.
/// 2. The host in the envelope's DSN, if it is allowed. Otherwise the data of one organisation or region would reach
///    another. A loopback address does not count: it is the one that the SDK uses for this extension.
/// 3. The upstream of the DSN in the settings.
/// 4. A loopback address in the envelope's DSN, if the setting of allowed hosts names it.
pub(super) fn upstream(config: &Config, dsn: Option<&Dsn>) -> Result<Arc<Upstream>, Rejection> {
    let configured = config.upstream.as_ref();
    let named = dsn.map(|dsn| &dsn.upstream).filter(|named| !config.is_loop(named));
    match (configured, named) {
        (Some(configured), Some(named)) if is_preferred(config, configured, named) => {
            Ok(Arc::clone(configured))
        }
        (Some(configured), None) => Ok(Arc::clone(configured)),
        (_, Some(named)) => check_allowed(config, named).map(|()| Arc::new(named.clone())),
        (None, None) => {
            let mistake = config.upstream_mistake.clone();
            let detail = mistake.unwrap_or_else(|| {
                "no upstream: set SENTRY_DSN or SENTRY_EXTENSION_DSN in the function's environment".to_owned()
            });
            Err(Rejection::new(StatusCode::FORBIDDEN, detail).for_reason(RefusalReason::NoUpstream))
        }
    }
}

/// Whether the upstream of the settings takes precedence over another one that the envelope names.
fn is_preferred(config: &Config, configured: &Upstream, named: &Upstream) -> bool {
    config.upstream_takes_all || named.is_loopback() || configured == named
}

/// Fails if the settings do not allow an envelope to name this upstream.
fn check_allowed(config: &Config, named: &Upstream) -> Result<(), Rejection> {
    let host = named.host();
    let forbidden =
        |reason, detail: &str| Err(Rejection::of_host(StatusCode::FORBIDDEN, reason, host, detail));
    if !config.allowed_hosts.contains(host) {
        let detail = format!("host {host} is not allowed: add it to SENTRY_EXTENSION_ALLOWED_HOSTS");
        return forbidden(RefusalReason::HostNotAllowed, &detail);
    }
    if named.scheme() == Scheme::Http && !named.is_loopback() {
        let detail = "plain http is sent to loopback or to a configured upstream only";
        return forbidden(RefusalReason::PlainHttp, detail);
    }
    Ok(())
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
    }

    #[test]
    fn the_dsn_of_an_envelope_comes_before_the_dsn_of_the_settings() {
        let a = ("SENTRY_DSN", "http://k@relay.example:3000/prefix/1");
        let allowed = ("SENTRY_EXTENSION_ALLOWED_HOSTS", "*.corp.example, 127.0.0.1");
        let config = |more: &[(&str, &str)]| config(&[&[a, allowed], more].concat());
        let goes_to = |config: &Config, named: Option<&str>| {
            let named = named.map(|named| dsn(&format!("{named}/42")));
            upstream(config, named.as_ref())
                .map(|upstream| upstream.to_string())
                .map_err(|r| r.status.as_u16())
        };
        let (own, ours) = ("http://relay.example:3000/prefix", "http://relay.example:3000");
        let by_dsn = config(&[]);
        let by_upstream = config(&[("SENTRY_EXTENSION_UPSTREAM", ours)]);
        for (named, expected) in [
            (None, Ok(own)),
            (Some("https://KEY@o1.ingest.de.sentry.io"), Ok("https://o1.ingest.de.sentry.io")),
            (Some("https://KEY@b.corp.example:8443/x"), Ok("https://b.corp.example:8443/x")),
            (Some("https://KEY@relay.example"), Ok("https://relay.example")),
            (Some("http://KEY@relay.example:3000/prefix"), Ok(own)),
            // The SDK was pointed at the extension, or at another port of this machine.
            (Some("http://KEY@localhost:5333"), Ok(own)),
            (Some("http://KEY@127.1:7"), Ok(own)),
            (Some("http://KEY@[::ffff:127.0.0.1]:5333"), Ok(own)),
            (Some("https://KEY@evil.example"), Err(403)),
            (Some("https://KEY@corp.example"), Err(403)),
            (Some("http://KEY@b.corp.example"), Err(403)),
            // The settings allow plain http to this upstream, and to no other.
            (Some("http://KEY@relay.example:3001"), Err(403)),
        ] {
            assert_eq!(goes_to(&by_dsn, named), expected.map(str::to_owned), "{named:?}");
            assert_eq!(goes_to(&by_upstream, named), Ok(ours.to_owned()), "{named:?}");
        }
        let unconfigured = super::tests::config(&[allowed]);
        assert_eq!(
            goes_to(&unconfigured, Some("http://KEY@127.0.0.1:7")),
            Ok("http://127.0.0.1:7".to_owned())
        );
        assert_eq!(goes_to(&unconfigured, Some("http://KEY@127.0.0.1:5333")), Err(403));
    }

    #[test]
    fn a_dsn_that_points_to_the_extension_is_explained() {
        let pointing_here = config(&[("SENTRY_DSN", "http://KEY@localhost:5333/42")]);
        let rejection = upstream(&pointing_here, None).unwrap_err();
        assert!(rejection.detail.contains("SENTRY_EXTENSION_DSN"), "{}", rejection.detail);
    }
}
