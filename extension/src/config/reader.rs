//! Reads single settings from the environment. An invalid one is replaced by its default, and adds a warning.

use super::faults::FaultKinds;
use super::headers::UpstreamHeaders;
use super::modes::{FlushMode, RelayMode};
use super::proxy::{Exception, Proxies, Proxy};
use super::units;
use super::upstream::InvalidUrl;
use crate::log::Level;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// The port to which the layers of 2022 rewrote DSNs. It is not 9000: the extension in Sentry's Node layer needs that
/// port, and fails the function where it is taken.
const DEFAULT_PORT: u16 = 5333;
/// Lambda's Runtime API and Extensions API use this port.
const RESERVED_PORT: u16 = 9001;

pub(super) struct EnvironmentReader<'a> {
    pub(super) var: &'a dyn Fn(&str) -> Option<String>,
    pub(super) warnings: Vec<String>,
}

impl EnvironmentReader<'_> {
    pub(super) fn warn(&mut self, name: &str, what: impl std::fmt::Display, instead: impl std::fmt::Display) {
        self.warnings.push(format!("{name} {what}: {instead}"));
    }

    pub(super) fn parsed<T>(
        &mut self,
        name: &str,
        parse: impl Fn(&str) -> Result<T, InvalidUrl>,
    ) -> Option<T> {
        let text = (self.var)(name)?;
        match parse(&text) {
            Ok(value) => Some(value),
            Err(why) => {
                self.warn(name, why, "it is ignored");
                None
            }
        }
    }

    pub(super) fn proxies(&mut self) -> Proxies {
        let https = self.proxy("HTTPS_PROXY");
        let http = self.proxy("HTTP_PROXY");
        let exceptions = (self.var)("no_proxy").or_else(|| (self.var)("NO_PROXY")).unwrap_or_default();
        Proxies { https, http, exceptions: Exception::list(&exceptions) }
    }

    /// The lower case counts for more, as it does for curl: it is the older custom.
    fn proxy(&mut self, upper: &str) -> Option<Proxy> {
        let lower = self.parsed(&upper.to_ascii_lowercase(), Proxy::parse);
        lower.or_else(|| self.parsed(upper, Proxy::parse))
    }

    /// The variables of all programs that users set when they have a certificate authority of their own.
    pub(super) fn ca_bundles(&self) -> Vec<PathBuf> {
        const FILES: [&str; 6] = [
            "SENTRY_EXTENSION_CA_BUNDLE",
            "SSL_CERT_FILE",
            "NODE_EXTRA_CA_CERTS",
            "REQUESTS_CA_BUNDLE",
            "CURL_CA_BUNDLE",
            "AWS_CA_BUNDLE",
        ];
        let folders = (self.var)("SSL_CERT_DIR").unwrap_or_default();
        let folders = folders.split(':').filter(|folder| !folder.is_empty()).map(PathBuf::from);
        let mut bundles: Vec<PathBuf> = Vec::new();
        for path in FILES.into_iter().filter_map(self.var).map(PathBuf::from).chain(folders) {
            if !bundles.contains(&path) {
                bundles.push(path);
            }
        }
        bundles
    }

    pub(super) fn headers(&mut self) -> UpstreamHeaders {
        const NAME: &str = "SENTRY_EXTENSION_HEADERS";
        let (headers, mistakes) = UpstreamHeaders::parse(&(self.var)(NAME).unwrap_or_default());
        for mistake in mistakes {
            self.warn(NAME, mistake, "it is ignored");
        }
        headers
    }

    pub(super) fn list(&self, name: &str) -> Vec<String> {
        let text = (self.var)(name).unwrap_or_default();
        text.split(',').map(str::trim).filter(|s| !s.is_empty()).map(str::to_owned).collect()
    }

    pub(super) fn size(&mut self, name: &str, default: usize) -> usize {
        let Some(text) = (self.var)(name) else { return default };
        units::size(&text).filter(|bytes| *bytes > 0).unwrap_or_else(|| {
            self.warn(name, "is not a size like 16MiB", format_args!("{default} bytes are used"));
            default
        })
    }

    /// Reads `true` or `false` in any of the spellings that people use.
    pub(super) fn flag(&mut self, name: &str, default: bool) -> bool {
        let Some(text) = (self.var)(name) else { return default };
        units::flag(&text).unwrap_or_else(|| {
            self.warn(name, "is neither true nor false", format_args!("{default} is used"));
            default
        })
    }

    pub(super) fn duration(&mut self, name: &str, default: Duration) -> Duration {
        let Some(text) = (self.var)(name) else { return default };
        units::duration(&text).filter(|d| !d.is_zero()).unwrap_or_else(|| {
            self.warn(name, "is not a duration like 2s or 1500ms", format_args!("{default:?} is used"));
            default
        })
    }

    pub(super) fn flush(&mut self) -> FlushMode {
        let Some(text) = (self.var)("SENTRY_EXTENSION_FLUSH") else { return FlushMode::default() };
        FlushMode::parse(&text).unwrap_or_else(|| {
            self.warn("SENTRY_EXTENSION_FLUSH", "is none of auto, end, continuous", "auto is used");
            FlushMode::default()
        })
    }

    pub(super) fn relay(&mut self) -> RelayMode {
        let Some(text) = (self.var)("SENTRY_EXTENSION_RELAY") else { return RelayMode::default() };
        RelayMode::parse(&text).unwrap_or_else(|| {
            self.warn("SENTRY_EXTENSION_RELAY", "is none of auto, builtin, process, only", "auto is used");
            RelayMode::default()
        })
    }

    pub(super) fn faults(&mut self) -> FaultKinds {
        const NAME: &str = "SENTRY_EXTENSION_FAULTS";
        let Some(text) = (self.var)(NAME) else { return FaultKinds::ALL };
        let (kinds, unknown) = FaultKinds::parse(&text);
        if unknown.is_empty() {
            return kinds;
        }
        let expected = "has an entry that is none of true, false, timeout, oom, exit, init, sandbox";
        if kinds.is_empty() {
            self.warn(NAME, expected, "true is used");
            return FaultKinds::ALL;
        }
        self.warn(NAME, expected, "it is left out");
        kinds
    }

    pub(super) fn level(&mut self) -> Level {
        let Some(text) = (self.var)("SENTRY_EXTENSION_LOG") else { return Level::Info };
        Level::parse(&text).unwrap_or_else(|| {
            self.warn("SENTRY_EXTENSION_LOG", "is none of off, error, warn, info, debug", "info is used");
            Level::Info
        })
    }

    /// The port for OpenTelemetry's protocol. `taken` are the addresses for Sentry's.
    pub(super) fn otlp_port(&mut self, taken: &[SocketAddr]) -> Option<u16> {
        const NAME: &str = "SENTRY_EXTENSION_OTLP_PORT";
        let text = (self.var)(NAME)?;
        let mistake = match text.trim().parse() {
            Ok(RESERVED_PORT) => "is 9001, which is Lambda's own",
            Ok(port) if taken.iter().any(|addr| addr.port() == port) => "is a port for Sentry's SDKs",
            Ok(port) if port != 0 => return Some(port),
            Ok(_) | Err(_) => "is not a port",
        };
        self.warn(NAME, mistake, "OpenTelemetry's protocol gets no port of its own");
        None
    }

    pub(super) fn ports(&mut self) -> Vec<u16> {
        const NAME: &str = "SENTRY_EXTENSION_PORTS";
        let mut ports = Vec::new();
        for text in self.list(NAME) {
            match text.parse::<u16>() {
                Ok(RESERVED_PORT) => self.warn(NAME, "has 9001, which is Lambda's own", "it is left out"),
                Ok(port) if port != 0 && !ports.contains(&port) => ports.push(port),
                Ok(0) | Err(_) => self.warn(NAME, "has an entry that is not a port", "it is left out"),
                Ok(_) => {}
            }
        }
        if ports.is_empty() { vec![DEFAULT_PORT] } else { ports }
    }
}
